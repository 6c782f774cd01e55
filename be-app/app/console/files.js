import { client } from "./api.js";
import { button, h, report, say } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { insertPictures } from "./pictures.js";

const isImage = ({ contentType }) => contentType.startsWith("image/");

/**
 * Make the list of a post's files, which are uploaded with progress. Pictures that are dropped or pasted on the text go
 * into the text, other files to the list.
 */
export function attachmentsField(area) {
  let [items, thumbnail] = [[], null];
  const list = h("ul", { class: "files" });
  const input = h("input", { type: "file", multiple: true, class: "visually-hidden", tabindex: "-1", "aria-label": t("Attach files") });
  const element = h("section", { class: "attachments" }, h("h2", {}, t("Files")), list, input, button(t("Attach files"), () => input.click()));
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
    const bar = h("progress", { max: "1", value: 0, "aria-label": t("Upload of {name}", { name: file.name }) });
    const line = h("li", { "data-sending": true }, h("span", {}, file.name), bar);
    list.append(line);
    try {
      const purpose = file.type.startsWith("image/") ? "image" : "attachment";
      const upload = client.upload(file, { purpose, onProgress: (share) => (bar.value = share) });
      line.append(h("button", { type: "button", class: "plain", onclick: (event) => {
        if (upload.paused) upload.resume();
        else upload.pause();
        event.target.textContent = upload.paused ? t("Resume") : t("Pause");
      } }, t("Pause")));
      const { id, name, size, contentType, state } = await upload.done;
      if (state === "rejected") throw Object.assign(new Error(t("{name} was refused by the check of its content.", { name })));
      if (state !== "clean") say(t("{name} is still being checked; it can be published after that.", { name }));
      items.push({ id, name, size, contentType });
    } catch (error) {
      report(error);
    } finally {
      line.remove();
      changed();
    }
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
    picture: [picture, h("button", { type: "button", title: t("Insert pictures"), "aria-label": t("Insert pictures into the text"), onclick: () => picture.click() }, "▣")],
    button: h("button", { type: "button", title: t("Attach files"), "aria-label": t("Attach files to the post"), onclick: () => input.click() }, "+"),
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
