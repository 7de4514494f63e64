"""The backend's own protocol, `/api/chat`: four response forms of one event stream."""
