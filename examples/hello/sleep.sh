# Sleeps for the whole number of seconds on stdin and reports progress. When it is
# interrupted it answers with the seconds that it has slept.
interrupted=no
trap 'interrupted=yes' INT

seconds=$(head -c 20)
case $seconds in
    '' | *[!0-9]* | ?????*)
        echo "the input must be a number of seconds from 0 to 9999, such as 5" >&2
        exit 2
        ;;
esac

# Run by hand there is nobody to report to. Some shells can write to a descriptor
# above 9 only through its name.
status=/dev/null
if [ -n "$TASKLANE_STATUS_FD" ]; then
    status=/dev/fd/$TASKLANE_STATUS_FD
fi

slept=0
while [ "$slept" -lt "$seconds" ] && [ "$interrupted" = no ]; do
    # In whole hundredths, because the shell has no fractions.
    printf '{"progress":%d.%02d,"message":"slept %d of %d s"}\n' \
        0 $((slept * 100 / seconds)) "$slept" "$seconds" >"$status"
    # An interrupt goes to the whole process group, so it ends this sleep too.
    sleep 1 && slept=$((slept + 1))
done
echo "slept $slept of $seconds s, interrupted: $interrupted"
