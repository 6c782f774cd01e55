"""What is left of botocore's data in an archive still describes every service that the application calls."""

import shutil
from pathlib import Path

import botocore
import botocore.session
import package

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
