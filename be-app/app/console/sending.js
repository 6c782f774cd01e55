import { client } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Begin to upload a file: return its progress bar, the upload, and `done`, which rejects where the check refuses it. */
export function sending(file, purpose = file.type.startsWith("image/") ? "image" : "attachment") {
  const { name } = file;
  const bar = h("progress", { max: "1", value: 0, "aria-label": t("Upload of {name}", { name }) });
  const upload = client.upload(file, { purpose, onProgress: (share) => (bar.value = share) });
  const done = upload.done.then((made) => {
    if (made.state === "rejected") throw new Error(t("{name} was refused by the check of its content.", { name }));
    return made;
  });
  return { bar, upload, done };
}
