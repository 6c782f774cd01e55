import type { Schemas } from "./types.js";

export interface PictureOptions {
  /** How wide it is shown, as the attribute `sizes` says it; the width of the window unless given. */
  sizes?: string;
  /** Alternative text in the place of the picture's own; `""` where the text beside it says the same. */
  alt?: string;
  /** Whether the browser loads it at once, as the first one of a page; else when it comes near. */
  eager?: boolean;
}

/** Attributes of a `<picture>`: of its `<source>` elements, the best type first, and of its `<img>`. */
export function picture(of: Schemas["ResponsivePicture"], { sizes = "100vw", alt, eager }: PictureOptions = {}) {
  const { src, width, height } = of;
  return {
    sources: Object.entries(of.srcset).map(([type, srcset]) => ({ type, srcset, sizes })),
    img: { src, width, height, alt: alt ?? of.alt, loading: eager ? "eager" : "lazy" } as const,
  };
}
