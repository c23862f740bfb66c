"""The commands of ``gpuio``: one module or package each, with the function and its arguments."""
