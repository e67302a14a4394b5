# Fails: the exit code becomes the task's return code, the last stderr line its error message.
echo "this line only goes into the log" >&2
echo "this service always fails" >&2
exit 3
