# Greets whoever the input names: what comes on stdin is the request, stdout is the answer.
name=$(head -c 200)
echo "Hello, ${name:-world}!"
