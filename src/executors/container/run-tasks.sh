#!/bin/sh
# Runs the tasks of one attempt, one after the other, from files that the server wrote. It needs no server while it
# runs: what it leaves in the task directories (begin.N, code.N, image.status) tells the whole story afterwards.
#   run-tasks.sh DIR TASKS SIDECARS RETRIES IGNORE
# Ends with 0, with the exit code of the last task that failed, or with 120 when an image could not be had.
cd "$1" || exit 121
tasks=$2 sidecars=$3 retries=$4 ignore=$5
current='' stopping='' beside=''

# The gentle stop goes to the program itself. Inside the sandbox that is three steps down: the outer sandbox, its
# process 1, the inner sandbox; the outer one would take a signal as the order to kill everything.
ask_to_stop() {
  stopping=yes
  [ -n "$current" ] || return 0
  target=$current
  if [ -f "$where/args" ]; then
    for _ in 1 2 3; do
      child=''
      # The kernel may leave a child out of the list while others come and go: one empty look proves nothing.
      for _look in 1 2 3 4 5; do
        # The list has no line end, which read calls a failure though it has read.
        { read -r child _rest <"/proc/$target/task/$target/children"; } 2>/dev/null
        [ -z "$child" ] || break
        sleep 0.02
      done
      target=$child
      [ -n "$target" ] || { kill -TERM "$current" 2>/dev/null; return 0; }
    done
    kill -TERM "-$target" 2>/dev/null || kill -TERM "$target" 2>/dev/null
    return 0
  fi
  kill -TERM "$current" 2>/dev/null
}
trap ask_to_stop TERM INT HUP

n=1
while [ "$n" -le "$sidecars" ]; do
  if [ -f "sidecars/$n/pull.sh" ] && ! /bin/sh "sidecars/$n/pull.sh"; then
    echo failed >image-failed
    failed=120
    tasks=0
  else
    setsid /bin/sh "sidecars/$n/run.sh" 0 &
    beside="$beside $!"
  fi
  n=$((n + 1))
done

n=1
failed=${failed:-0}
while [ "$n" -le "$tasks" ] && [ -z "$stopping" ]; do
  where=tasks/$n
  if [ -f "$where/pull.sh" ] && ! /bin/sh "$where/pull.sh"; then
    echo failed >image-failed
    failed=120
    break
  fi
  try=0
  code=143
  while [ -z "$stopping" ]; do
    : >"$where/begin.$try"
    copier=''
    if [ -f "$where/merge" ]; then
      rm -f "$where/pipe"
      mkfifo -m 600 "$where/pipe" || exit 121
      tee -a "$(cat "$where/merge")" <"$where/pipe" &
      copier=$!
      setsid /bin/sh "$where/run.sh" "$try" >"$where/pipe" 2>&1 &
    else
      setsid /bin/sh "$where/run.sh" "$try" &
    fi
    current=$!
    # A signal ends the wait early: wait again until the task is really gone.
    wait "$current"
    code=$?
    while kill -0 "$current" 2>/dev/null; do
      wait "$current"
      code=$?
    done
    [ -z "$copier" ] || wait "$copier"
    current=''
    echo "$code" >"$where/code.$try"
    if [ "$code" -eq 0 ] || [ -n "$stopping" ] || [ "$try" -ge "$retries" ]; then break; fi
    try=$((try + 1))
  done
  if [ "$code" -ne 0 ]; then
    failed=$code
    [ "$ignore" = yes ] || break
  fi
  n=$((n + 1))
done

# Asked to stop between two tasks, or by a task that then ended well: not everything was done, so it is no success.
[ "$n" -gt "$tasks" ] || [ "$failed" -ne 0 ] || failed=143

for each in $beside; do kill -TERM "$each" 2>/dev/null; done
for stop in sidecars/*/stop.sh; do [ ! -f "$stop" ] || /bin/sh "$stop"; done
wait
exit "$failed"
