"""Take up a certificate that an application names."""

from __future__ import annotations

from collections.abc import Collection

from hybridrt.application import CertificateFile
from hybridrt.confidence.issued import read_issued
from hybridrt.confidence.judge import InUse
from hybridrt.confidence.watch import Watch
from hybridrt.errors import FileError


def take_up(named: CertificateFile, models: Collection[str], tasks: Collection[str]) -> InUse:
    """Read a certificate and the place of its counts; `tasks` have one for this model already.

    Raises:
        FileError: it cannot be used as the application says.
    """
    file = named.file.name
    if named.model not in models:
        raise FileError(
            f"a certificate is named for the model `{named.model}`, which is not here", file=file, hint="name a model of `models`"
        )
    issued = read_issued(named.file)
    if issued.model != named.model:
        raise FileError(f"this certificate is about the model `{issued.model}`, not `{named.model}`", file=file)
    if named.task not in (None, issued.task):
        raise FileError(f"this certificate is about the task `{issued.task}`, not `{named.task}`", file=file)
    if issued.task in tasks:
        raise FileError(f"the model `{named.model}` has a certificate for `{issued.task}` already", file=file, hint="name one of the two")
    counts = named.file.with_name(f"{named.file.stem}.counts.json")
    watch = Watch(counts, issued.id, alpha=issued.alpha, delta=issued.delta, is_about_agreement=issued.compare == "cloud")
    return InUse(issued, watch, named.audit, named.audits_by_cloud)
