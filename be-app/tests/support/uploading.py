"""Sending files as a client does, and files to send."""

import hashlib
import io
import struct
import zipfile
import zlib
from typing import Any

import botocore.session
import httpx
from botocore.config import Config
from PIL import Image, ImageCms

from support.stack import Stack

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PART = 8 * 1024 * 1024


def caller(name: str, role: str = "editor") -> dict[str, str]:
    """Return the headers of somebody of the staff."""
    return {"X-Test-Subject": name, "X-Test-Role": role}


KIM, LEE, ADMIN = caller("kim"), caller("lee"), caller("park", "admin")


def sha256(content: bytes) -> str:
    """Return the body that creates an upload of a file: above 10 MB the digest of its parts' digests."""
    if len(content) <= 10_000_000:
        return hashlib.sha256(content).hexdigest()
    digests = (hashlib.sha256(part).digest() for part in parts(content))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def parts(content: bytes) -> list[bytes]:
    """Cut a large file."""
    return [content[start : start + PART] for start in range(0, len(content), PART)]


def announce(
    client: httpx.Client, content: bytes, name: str, content_type: str, who: Any = KIM, **changes: Any
) -> httpx.Response:
    """Create an upload; `changes` override its body."""
    purpose = "image" if content_type.startswith("image/") else "attachment"
    said = {"name": name, "contentType": content_type, "size": len(content), "sha256": sha256(content)}
    return client.post("/v1/uploads", json={**said, "purpose": purpose, **changes}, headers=who)


def send(form: dict[str, Any], content: bytes, **fields: str) -> httpx.Response:
    """Send a file with its form; `fields` are sent instead of what was signed."""
    return httpx.post(
        form["url"],
        data=form["fields"] | fields,
        files={"file": ("f", content)},
        trust_env=False,
        timeout=120,
    )


def complete(client: httpx.Client, upload: dict[str, Any], who: Any = KIM) -> httpx.Response:
    """Say that a file was sent."""
    return client.post(f"/v1/uploads/{upload['id']}/complete", headers=who)


def state(client: httpx.Client, upload: dict[str, Any]) -> dict[str, Any]:
    """Return an upload as an admin sees it."""
    answer = client.get(f"/v1/uploads/{upload['id']}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sent(client: httpx.Client, content: bytes, name: str, content_type: str, **told: Any) -> dict[str, Any]:
    """Announce and send a file, but don't say so."""
    answer = announce(client, content, name, content_type, **told)
    assert answer.status_code == 201, answer.text
    upload: dict[str, Any] = answer.json()
    arrived = send(upload["form"], content)
    assert arrived.status_code == 204, arrived.text
    return upload


def uploaded(
    client: httpx.Client, content: bytes, name: str, content_type: str, **told: Any
) -> httpx.Response:
    """Announce and send a file and say so."""
    return complete(client, sent(client, content, name, content_type, **told), told.get("who", KIM))


def put_parts(client: httpx.Client, upload: dict[str, Any], content: bytes, numbers: list[int]) -> None:
    """Send some parts of a large file."""
    cut = parts(content)
    wanted = [{"number": n, "sha256": hashlib.sha256(cut[n - 1]).hexdigest()} for n in numbers]
    answer = client.post(f"/v1/uploads/{upload['id']}/parts", json={"items": wanted}, headers=KIM)
    assert answer.status_code == 200, answer.text
    for part in answer.json()["items"]:
        put = httpx.put(
            part["url"],
            content=cut[part["number"] - 1],
            headers=part["headers"],
            trust_env=False,
            timeout=120,
        )
        assert put.status_code == 200, put.text


def s3(stack: Stack) -> Any:
    """Return a client of the server that has a stack's files."""
    endpoint = stack.settings.s3_endpoint_url or stack.settings.aws_endpoint_url
    return botocore.session.get_session().create_client(
        "s3",
        region_name=stack.region,
        endpoint_url=endpoint,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def stored(stack: Stack, upload: dict[str, Any], place: str = "files") -> dict[str, bytes]:
    """Return what the bucket holds of an upload, by the end of its key."""
    store, bucket = s3(stack), stack.settings.uploads_bucket
    listed = store.list_objects_v2(Bucket=bucket, Prefix=f"{place}/{upload['id']}").get("Contents", ())
    return {
        item["Key"].rpartition("/")[2]: store.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        for item in listed
    }


def public_objects(stack: Stack) -> set[str]:
    """Return the pictures in the media bucket, by their digest."""
    listed = s3(stack).list_object_versions(Bucket=stack.settings.media_bucket)
    return {item["Key"].split("/")[1] for item in listed.get("Versions", ())}


def event(stack: Stack, upload: dict[str, Any], name: str = "ObjectCreated:Post") -> dict[str, Any]:
    """Return S3's event of an arrival."""
    bucket = {"name": stack.settings.uploads_bucket}
    s3 = {"bucket": bucket, "object": {"key": f"quarantine/{upload['id']}"}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": name, "s3": s3}]}


# -- files --------------------------------------------------------------------------------------------------


def photo(width: int = 300, height: int = 200, **options: Any) -> bytes:
    """Make a JPEG as a phone does: with the place where it was taken, turned by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "PhoneMaker"
    exif[0x8825] = {1: "N", 2: (37.0, 33.0, 59.0), 3: "E", 4: (126.0, 58.0, 40.0)}
    mode = options.pop("mode", "RGB")
    image = Image.effect_noise((width, height), 40).convert("RGB").convert(mode)
    return saved(image, "JPEG", **({"exif": exif} | options))


def colour_profile(size: int) -> bytes:
    """Make an ICC profile of so many bytes: those for printing have half a million, this one is filled up."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return struct.pack(">I", size) + profile[4:].ljust(size - 4, b"\0")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as a file of a kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def animated(kind: str, frames: int = 5, size: tuple[int, int] = (120, 80)) -> bytes:
    """Make an animation."""
    first, *rest = (Image.new("RGB", size, (i * 37 % 256, 100, 50)) for i in range(frames))
    return saved(first, kind, save_all=True, append_images=rest, duration=80, loop=0)


def png_bomb() -> bytes:
    """Make a small PNG that says it has 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9999)))
        + chunk(b"IEND", b"")
    )


def pdf(pages: int = 1, **options: Any) -> bytes:
    """Make a PDF: `script` to run when it is opened, `password`, `padding` in bytes, in so many `pieces`.

    By `hidden` the script follows a harmless step (`next`) or is the first page's (`page`).
    """
    from pypdf import PdfWriter
    from pypdf.generic import DictionaryObject, NameObject, TextStringObject

    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(595, 842)
    if "script" in options:
        action = {
            NameObject("/S"): NameObject("/JavaScript"),
            NameObject("/JS"): TextStringObject(options["script"]),
        }
        harmless = {NameObject("/S"): NameObject("/GoTo"), NameObject("/Next"): DictionaryObject(action)}
        if options.get("hidden") == "page":
            opened = DictionaryObject({NameObject("/O"): DictionaryObject(action)})
            writer.pages[0][NameObject("/AA")] = opened
        else:
            opening = harmless if options.get("hidden") == "next" else action
            writer.root_object[NameObject("/OpenAction")] = DictionaryObject(opening)
    if "password" in options:
        writer.encrypt(options["password"], algorithm="AES-256")
    if "padding" in options:
        pieces = options.get("pieces", 1)
        for number in range(pieces):
            writer.add_attachment(f"{number}.bin", b"\x00\x01" * (options["padding"] // 2 // pieces))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def docx(**more: bytes) -> bytes:
    """Make the smallest Word document."""
    main = (
        b'<Types><Override PartName="/word/document.xml" '
        b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    return archive(
        {"[Content_Types].xml": main, "word/document.xml": "<w:t>분기 보고</w:t>".encode()}
        | {name.replace("__", "/").replace("_bin", ".bin"): content for name, content in more.items()}
    )


def hwp(flags: int = 1) -> bytes:
    """Make the smallest document in Hancom's binary format: a compound file (MS-CFB) of a header and a section."""
    free, end, fat_sector = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    header = b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000300, flags)
    streams = [header.ljust(4096, b"\0"), bytes(4096)]  # Streams of this size need no small sectors.

    def entry(name: str, kind: int, child: int, right: int, at: tuple[int, int]) -> bytes:
        encoded = (name + "\0").encode("utf-16-le")
        about = struct.pack("<HBBIII", len(encoded) if name else 0, kind, 1, free, right, child)
        return encoded.ljust(64, b"\0") + about + bytes(36) + struct.pack("<IQ", *at)

    directory = (
        entry("Root Entry", 5, 1, free, (end, 0))
        + entry("FileHeader", 2, free, 2, (2, 4096))
        + entry("BodyText", 1, 3, free, (0, 0))
        + entry("Section0", 2, free, free, (10, 4096))
    )
    chains = [fat_sector, end, *(*range(3, 10), end), *(*range(11, 18), end)]
    fat = struct.pack("<128I", *chains, *[free] * (128 - len(chains)))
    start = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    start += struct.pack("<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    start += struct.pack("<108I", *[free] * 108)
    return start + fat + directory + b"".join(streams)


def hwpx() -> bytes:
    """Make the smallest document in Hancom's open format."""
    return archive(
        {"mimetype": b"application/hwp+zip", "Contents/section0.xml": b"<hs:sec/>"}, zipfile.ZIP_STORED
    )


def encrypted_zip() -> bytes:
    made = bytearray(archive({"a.txt": b"hello"}, zipfile.ZIP_STORED))
    made[6] |= 1
    made[made.index(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


def overlapping_zip() -> bytes:
    """Two names for the same bytes."""
    made = archive({"a.txt": b"hello" * 99, "b.txt": b"hello" * 99}, zipfile.ZIP_STORED)
    second = made.index(b"PK\x01\x02", made.index(b"PK\x01\x02") + 4)
    return made[: second + 42] + bytes(4) + made[second + 46 :]
