"""The OASIS schemas of UBL 2.1: taken out of their archives at set-up, used to validate in tests."""

from __future__ import annotations

import sys
import zipfile
from functools import cache
from pathlib import Path

from lxml import etree

FOLDER = Path(__file__).parents[2] / "build/peers/ubl"
XSD = "http://www.w3.org/2001/XMLSchema"
#: The UBL schemas import these by name alone.
IMPORTED = {
    "urn:un:unece:uncefact:data:specification:CoreComponentTypeSchemaModule:2": (
        "schemas/CCTS_CCT_SchemaModule.xsd"
    ),
    "http://www.w3.org/2000/09/xmldsig#": "schemas/xmldsig-core-schema.xsd",
    "http://uri.etsi.org/01903/v1.3.2#": "schemas/XAdES01903v132-201601.xsd",
    "http://uri.etsi.org/01903/v1.4.1#": "schemas/XAdES01903v141-201601.xsd",
}


def present() -> bool:
    """Say whether set-up brought the schemas."""
    return (FOLDER / ".installed").is_file()


@cache
def schema(kind: str) -> etree.XMLSchema:
    """Return the schema of a kind of document (`Order`), with all that it imports."""
    own = f"urn:oasis:names:specification:ubl:schema:xsd:{kind}-2"
    places = {**IMPORTED, own: f"external/schemas/ubl21/maindoc/UBL-{kind}-2.1.xsd"}
    root = etree.Element(f"{{{XSD}}}schema")
    for namespace, place in places.items():
        where = str(FOLDER / place)
        etree.SubElement(root, f"{{{XSD}}}import", namespace=namespace, schemaLocation=where)
    return etree.XMLSchema(root)


def problems(document: Path) -> list[str]:
    """Validate a file by the schema of its kind."""
    tree = etree.parse(document)
    validator = schema(etree.QName(tree.getroot()).localname)
    validator.validate(tree)
    return [str(entry) for entry in validator.error_log]


def unpack(folder: Path) -> None:
    """Take the schemas out of the archives in a folder, and the archives away."""
    for archive in sorted(folder.glob("*.jar")):
        with zipfile.ZipFile(archive) as jar:
            jar.extractall(folder, [name for name in jar.namelist() if name.endswith(".xsd")])
        archive.unlink()


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
