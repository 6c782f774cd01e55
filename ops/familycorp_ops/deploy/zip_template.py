"""Renders `template.zip.yaml`, the variant with zip archives and Mangum, from `template.yaml`: `make templates`.

Both deploy the same functions; they differ in packaging alone, and this file says how.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from familycorp_ops.deploy.templates import IMAGE, ZIP

_HEADER: Final = (
    "# Rendered from template.yaml by `make templates`: change that one, or how it is rendered.\n"
)

_GLOBALS: Final = """\
  Function:
    CodeUri: be-app
    Runtime: python3.12
    Layers: [!Ref DependenciesLayer, !Ref PolicyLayer]
"""

_LAYERS: Final = """\
Resources:
  DependenciesLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata:
      BuildMethod: makefile
    Properties:
      LayerName: !Sub "familycorp-${Environment}-dependencies"
      Description: What uv.lock pins for the application
      ContentUri: be-app
      CompatibleRuntimes: [python3.12]
      RetentionPolicy: Retain # Versions that an alias can go back to still need theirs.

  PolicyLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata:
      BuildMethod: makefile
    Properties:
      LayerName: !Sub "familycorp-${Environment}-policy"
      Description: The authorisation policy, at /opt/opa/bundle
      ContentUri: be-app
      CompatibleRuntimes: [python3.12]
      RetentionPolicy: Retain

"""

_CHANGES: Final = (
    (r"\A", _HEADER),
    (
        r"(?m)^Description: .*$",
        'Description: "FamilyCorp\'s backend: zip archives, Mangum, the policy as a layer."',
    ),
    (r"(?m)^# The other variant, .*\n", ""),
    (r"(?m)^  (?:Image|Functions)Digest:\n(?:    .*\n)+", ""),
    (r"(?m)^(?:  # .*\n)+  HasImages: .*\n", ""),
    (r"(?m)^  Function:\n", _GLOBALS),
    (r"(?m)^Resources:\n", _LAYERS),
    (
        r"(?m)^    Type: AWS::Serverless::Function\n    Metadata:\n(?:      Docker.*\n)+",
        "    Type: AWS::Serverless::Function\n    Metadata:\n      BuildMethod: makefile\n",
    ),
    (
        (
            r"(?m)^      PackageType: Image\n      ImageUri: .*\n"
            r"      ImageConfig:\n        EntryPoint: .*\n        Command: \[(.+)\]\n"
        ),
        r"      Handler: \1\n",
    ),
    (r"(?m)^      PackageType: Image\n      ImageUri: .*\n", "      Handler: app.functions.http.handler\n"),
)
"""Differences: patterns of the image's template, each of which occurs there, and their replacements."""


def rendered() -> Mapping[Path, str]:
    """Return `template.zip.yaml`; raise `ValueError` where `template.yaml` has no match for a pattern."""
    text = IMAGE.read_text("utf-8")
    for pattern, replacement in _CHANGES:
        text, times = re.subn(pattern, replacement, text)
        if not times:
            raise ValueError(f"{IMAGE.name} has nothing that matches {pattern!r}")
    return {ZIP: text}
