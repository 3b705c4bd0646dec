"""From pictures as users have them to the study's databases, splits and means."""
