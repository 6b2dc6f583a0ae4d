"""Who the application users are in an environment (Microsoft: `WhoAmI`)."""

from __future__ import annotations

from shared.dataverse.http.service import Call, Service

__all__ = ["user_ids"]


def user_ids(service: Service) -> frozenset[str]:
    """The ids of the application users in the table `systemuser`, in lower case.

    Raises:
        AbortRun: Dataverse refuses one of them.
        RetryLater: The service is unavailable.
    """
    answers = (service.fetch_json(Call(path="WhoAmI"), user=user) for user in range(len(service.users)))
    return frozenset(answer.member("UserId").guid() for answer in answers)
