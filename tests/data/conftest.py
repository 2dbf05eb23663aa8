"""What tests of tasks share."""

import pytest
from prompts import trained


@pytest.fixture(scope="module", params=["letters", "bytes", "metaspace"])
def any_tokenizer(request, tokenizer):
    return tokenizer if request.param == "letters" else trained(request.param)
