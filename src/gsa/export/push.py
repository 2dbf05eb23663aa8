"""Upload of an export to the Hugging Face hub, or to another server with its interface."""

import logging
import re
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from gsa.errors import InputError

logger = logging.getLogger(__name__)
CARD = "README.md"
NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
TransportError: type[Exception] = HfHubHTTPError.__bases__[0]
"""That of the HTTP client on which the installed huggingface_hub builds."""


def push(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a folder that `gsa export` wrote, with its card, to a repository and return its address.

    The repository is made where it does not exist, `private` if wanted. The token is that of `hf auth login`
    or HF_TOKEN, the server that of HF_ENDPOINT. Raises InputError for a folder without a card, a name that is
    not OWNER/NAME, and what the server refuses.
    """
    card = folder / CARD
    if not card.is_file() or not card.read_text(encoding="utf-8").startswith("---\n"):
        raise InputError(f"'{folder}' has no model card ({CARD}): expected a folder that gsa export wrote")
    if not re.fullmatch(NAME, repository):
        raise InputError("expected the repository as OWNER/NAME, of letters, digits, '-', '_' and '.'")
    if "license: unknown" in card.read_text(encoding="utf-8"):
        logger.warning("the card says `license: unknown`: name a licence in %s", card)
    api = HfApi()
    try:
        address = str(api.create_repo(repository, private=private, exist_ok=True))
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Upload an export of gsa")
    except LocalTokenNotFoundError:
        raise InputError("no token was found: expected `hf auth login` first, or HF_TOKEN") from None
    except HFValidationError as error:
        raise InputError(f"'{repository}' is no name of a repository: {error}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = ": expected a token that may write, from `hf auth login` or HF_TOKEN" if status == 401 else ""
        raise InputError(f"{api.endpoint} refused '{repository}' (status {status}){hint}") from None
    except TransportError as error:
        raise InputError(f"{api.endpoint} cannot be reached ({type(error).__name__})") from None
    return address
