"""FamilyCorp's API: the application that runs in Lambda and, unchanged, on a developer's machine."""
