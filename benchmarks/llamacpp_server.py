"""llama.cpp's server on one thread, from the prebuilt package xllamacpp, for `served_agrees.py`.

    python benchmarks/llamacpp_server.py FILE.gguf [--port 8080]

Needs an environment with xllamacpp alone. Serves until it is stopped.
"""

import argparse
import signal

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path, params.port = options.model, options.port
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 4096, 1, False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
