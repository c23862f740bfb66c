"""cupy.cuda.compiler's exception."""


class CompileException(Exception):
    def __init__(self, msg, source, name, options, backend="nvrtc"):
        self._msg = msg
        self.source = source
        self.name = name
        self.options = options
        self.backend = backend
        super().__init__()

    def __str__(self):
        return self._msg

    def get_message(self):
        return self._msg
