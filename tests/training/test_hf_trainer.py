import os
import subprocess
import sys


def test_no_code_is_fetched_by_bitsandbytes_where_the_trainer_is_imported(tmp_path):
    package = tmp_path / "bitsandbytes"
    package.mkdir()
    (package / "__init__.py").write_text(
        "class nn: pass\ntry:\n    import kernels\nexcept ImportError:\n    print('none')\n"
    )
    (tmp_path / "kernels.py").write_text("print('fetched')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    code = "import gsa.training.run, kernels"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["none", "fetched"]
    assert done.stderr == ""
