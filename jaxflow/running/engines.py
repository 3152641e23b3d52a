"""Where scikit-learn's fits run, beyond this machine's cores: joblib's own switch."""

from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from jaxflow.errors import InputError, shown


@contextmanager
def dask_engine(address: str) -> Iterator[None]:
    """Spread scikit-learn's fits over the workers of a Dask scheduler while the block lasts.

    Raises:
        InputError: Dask is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("Dask is not installed; pip install 'jaxflow[dask]'") from None
    if not isinstance(address, str) or not address.strip():
        raise InputError(f"a Dask scheduler has an address such as tcp://10.0.0.1:8786, not {shown(address)}")
    try:
        client = Client(address, timeout=10)
    except Exception as error:  # whatever the library makes of an address that is none
        raise InputError(f"no Dask scheduler answers at {address} ({type(error).__name__})") from None
    with client, parallel_config(backend="dask"):
        yield
