"""What a person should know of a command on licences that was applied: its user is new, or it changed nothing."""

from rater.core import AnyCommand, LicenseAssigned, LicenseRemoved, State, User


def licensee(state: State, command: AnyCommand) -> User | None:
    """The user whose licences a command is about; None: nobody whom an earlier command named, or no licences."""
    if not isinstance(command, LicenseAssigned | LicenseRemoved):
        return None
    user = state.user_meant_by(command.tenant, command.user)
    return user if user is not None and user.configured else None


def remark_on(command: AnyCommand, before: User | None, after: User | None) -> str | None:
    """What is remarkable, by the user as it was and as the command left it; None: nothing is."""
    match command:
        case LicenseAssigned(user=user) if before is None:
            return f"{user} is a new user, whom no earlier command named; check the spelling"
        case LicenseRemoved(user=user) if before is None:
            return f"it changed nothing: no earlier command named a user {user}; check the spelling"
        case LicenseAssigned() | LicenseRemoved() if before is not None and before == after:
            still = "held" if isinstance(command, LicenseAssigned) else "did not hold"
            return f"it changed nothing: {command.user} {still} {command.sku} then"
        case _:
            return None
