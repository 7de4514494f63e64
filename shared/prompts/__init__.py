"""What a model is sent: action, template, context, and a window of the history."""
