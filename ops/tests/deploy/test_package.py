"""What is deployed: botocore's data still describes every service that the application calls; bytecode is stable."""

import hashlib
import shutil
from pathlib import Path

import botocore
import botocore.session
import package
import pycparser  # type: ignore[import-untyped]

DATA = Path(botocore.__file__).parent / "data"


def test_models_without_documentation_make_clients_and_sign_forms(tmp_path: Path) -> None:
    for name in package.AWS_SERVICES:
        shutil.copytree(DATA / name, tmp_path / name)
    for file in DATA.glob("*.json"):
        shutil.copy(file, tmp_path)
    for model in tmp_path.glob("*/*/service-2.json.gz"):
        package.trim_model(model)
    assert not list(tmp_path.glob("*/*/service-2.json.gz"))
    session = botocore.session.Session()
    session.get_component("data_loader")._search_paths[:] = [str(tmp_path)]
    session.set_credentials("key", "secret")
    made = {name: session.create_client(name, region_name="ap-northeast-2") for name in package.AWS_SERVICES}
    s3 = made["s3"]
    assert s3.generate_presigned_post("bucket", "key")["url"]
    assert s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})


def test_the_same_modules_give_the_same_bytecode_each_time(tmp_path: Path) -> None:
    installed = Path(pycparser.__file__).parent
    made = set()
    for number in range(4):
        # Neighbours, so that several processes would share the work in another way each time.
        for name in ("cffi", "fastapi", "pycparser", "redis"):
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(installed.with_name(name), tmp_path / str(number) / name, ignore=ignored)
        package.compile_all(tmp_path / str(number), keep_sources=False)
        files = sorted((tmp_path / str(number)).rglob("*.pyc"))
        made.add(hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest())
    assert len(made) == 1
