import { picture, type PictureOptions, type Schemas } from "@familycorp/client";
import { type Html, html } from "../html.js";

const attributes = (values: object): Html[] => Object.entries(values).map(([name, value]) => html` ${name}="${value}"`);

/** Classes of `site.css` by which crops keep a picture's focal point: pages' policy takes no style of an element. */
const focal = ({ x, y }: Schemas["Focus"]) => `x${Math.round(x / 10)} y${Math.round(y / 10)}`;

/** A picture in all its sizes and types: the browser picks one. */
export const pictureOf = (of: Schemas["ResponsivePicture"], options: PictureOptions): Html => {
  const { sources, img } = picture(of, options);
  return html`<picture>${sources.map((source) => html`<source${attributes(source)}>`)}<img${attributes({ ...img, class: focal(of.focus) })}></picture>`;
};
