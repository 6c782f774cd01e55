import { chooseFile } from "./choosing.js";
import { button, h, report, say } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { insertLibraryPicture, insertPictures } from "./pictures.js";
import { sending } from "./sending.js";

const isImage = ({ contentType }) => contentType.startsWith("image/");

/**
 * Make the list of a post's files, which are uploaded with progress. Pictures that are dropped or pasted on the text go
 * into the text, other files to the list.
 */
export function attachmentsField(area) {
  let [items, thumbnail] = [[], null];
  const list = h("ul", { class: "files" });
  const input = h("input", { type: "file", multiple: true, class: "visually-hidden", tabindex: "-1", "aria-label": t("Attach files") });
  const element = h("section", { class: "attachments" }, h("h2", {}, t("Files")), list, input, h("div", { class: "actions" }, button(t("Attach files"), () => input.click()), button(t("Attach from the library"), choose)));
  const changed = () => {
    draw();
    element.dispatchEvent(new Event("input", { bubbles: true }));
  };

  function draw() {
    const shown = items.map((item) =>
      h(
        "li", {},
        h("span", {}, `${item.name} (${bytes(item.size)})`),
        isImage(item) &&
          h("label", {}, h("input", { type: "checkbox", checked: thumbnail?.id === item.id, onchange: (event) => {
            thumbnail = event.target.checked ? item : null;
            changed();
          } }), t("Thumbnail")),
        h("button", { type: "button", class: "plain", "aria-label": t("Remove {name}", { name: item.name }), onclick: () => {
          items = items.filter(({ id }) => id !== item.id);
          if (thumbnail?.id === item.id) thumbnail = null;
          changed();
        } }, "×"),
      ),
    );
    list.replaceChildren(...shown, ...list.querySelectorAll("[data-sending]"));
  }

  async function send(file) {
    const { bar, upload, done } = sending(file);
    const line = h("li", { "data-sending": true }, h("span", {}, file.name), bar);
    list.append(line);
    try {
      line.append(h("button", { type: "button", class: "plain", onclick: (event) => {
        if (upload.paused) upload.resume();
        else upload.pause();
        event.target.textContent = upload.paused ? t("Resume") : t("Pause");
      } }, t("Pause")));
      const { id, name, size, contentType, state } = await done;
      if (state !== "clean") say(t("{name} is still being checked; it can be published after that.", { name }));
      items.push({ id, name, size, contentType });
    } catch (error) {
      report(error);
    } finally {
      line.remove();
      changed();
    }
  }

  async function choose() {
    const file = await chooseFile();
    if (!file || items.some(({ id }) => id === file.id)) return;
    items.push({ id: file.id, name: file.name, size: file.size, contentType: file.contentType });
    changed();
  }

  const sendAll = (chosen) => [...chosen].forEach(send);
  const put = (chosen) => {
    const pictures = [...chosen].filter(({ type }) => type.startsWith("image/"));
    sendAll([...chosen].filter((file) => !pictures.includes(file)));
    if (pictures.length) insertPictures(area, pictures).catch(report);
  };
  const picture = h("input", { type: "file", multiple: true, accept: "image/*", class: "visually-hidden", tabindex: "-1", "aria-label": t("Insert pictures") });
  picture.addEventListener("change", () => {
    put(picture.files);
    picture.value = "";
  });
  input.addEventListener("change", () => {
    sendAll(input.files);
    input.value = "";
  });
  area.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    put(event.clipboardData.files);
  });
  area.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  area.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    put(event.dataTransfer.files);
  });
  return {
    element,
    picture: [
      picture,
      h("button", { type: "button", title: t("Insert pictures"), "aria-label": t("Insert pictures into the text"), onclick: () => picture.click() }, t("Picture")),
      button(t("Library"), () => insertLibraryPicture(area), { title: t("Insert a picture from the library"), "aria-label": t("Insert a picture from the library") }),
    ],
    button: h("button", { type: "button", title: t("Attach files"), "aria-label": t("Attach files to the post"), onclick: () => input.click() }, t("File")),
    attachments: () => items,
    thumbnail: () => thumbnail,
    setAttachments(files) {
      items = [...files];
      draw();
    },
    setThumbnail(file) {
      thumbnail = file;
      draw();
    },
  };
}
