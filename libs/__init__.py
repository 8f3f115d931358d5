"""What the services share: settings, time, the database, messages and the web shell."""
