#!/bin/sh
# Runs the tasks of one attempt, one after the other, from files that the server wrote. It needs no server while it
# runs: what it leaves in the task directories (begin.N, code.N, image.status) tells the whole story afterwards.
#   run-tasks.sh DIR TASKS SIDECARS RETRIES IGNORE GRACE
# A task with the file `nodes` runs that many times at once: the first copy as any task, copy K from node.K with
# streams of its own. When a copy fails, the others are asked to end, and made to after GRACE seconds.
# Ends with 0, with the exit code of the last task that failed, or with 120 when an image could not be had.
cd "$1" || exit 121
tasks=$2 sidecars=$3 retries=$4 ignore=$5 grace=$6
current='' stopping='' asked='' killer='' copying='' ending='' copies='' beside='' woken=''

# The gentle stop goes to the program itself. Inside the sandbox that is three steps down: the outer sandbox, its
# process 1, the inner sandbox; the outer one would take a signal as the order to kill everything.
ask_to_stop() {
  stopping=yes woken=yes
  { [ -n "$current" ] && [ -z "$asked" ]; } || return 0
  asked=yes
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

# Waits until process $1 has ended; its exit code is then in $ended. A signal ends a wait early, with the signal's own
# code, also when the process ended in the same moment: so after each signal it is waited for once more, which gives
# the code that counts, or 127 when the shell had told it already.
wait_for() {
  woken=''
  wait "$1"
  ended=$?
  while [ -n "$woken" ]; do
    woken=''
    wait "$1" 2>/dev/null
    again=$?
    [ "$again" -eq 127 ] || ended=$again
  done
}

# Runs the task in $where until it ends well or may not be tried again; its last exit code is then in $code.
run_task() {
  try=0
  code=143
  while [ -z "$stopping" ]; do
    : >"$where/begin.$try"
    copier=''
    if [ -f "$where/merge" ]; then
      rm -f "$where/pipe"
      mkfifo -m 600 "$where/pipe" || exit 121
      # It ends when everything was read, not when the tasks are asked to end.
      (trap '' TERM && exec tee -a "$(cat "$where/merge")") <"$where/pipe" &
      copier=$!
      setsid /bin/sh "$where/run.sh" "$try" >"$where/pipe" 2>&1 &
    else
      setsid /bin/sh "$where/run.sh" "$try" &
    fi
    current=$! asked=''
    # A stop that came in between found nobody to ask.
    [ -z "$stopping" ] || { ask_to_stop; kill_later; }
    wait_for "$current"
    code=$ended
    [ -z "$copier" ] || wait "$copier"
    current=''
    echo "$code" >"$where/code.$try"
    if [ "$code" -eq 0 ] || [ -n "$stopping" ] || [ "$try" -ge "$retries" ]; then break; fi
    try=$((try + 1))
  done
}

# One of several copies, in a shell of its own. The first that fails says so and has the others ended.
run_copy() {
  copies='' copying=yes
  trap 'ask_to_stop; kill_later' TERM INT HUP
  task=$where
  [ "$1" -eq 0 ] || where=$where/node.$1
  run_task
  [ -z "$killer" ] || kill "$killer" 2>/dev/null
  if [ "$code" -ne 0 ] && [ -z "$stopping" ]; then
    (set -C && echo "$1 $code" >"$task/first-failed") 2>/dev/null
    [ "$ignore" = yes ] || kill -USR1 $$
  fi
  exit "$code"
}

# Who asked a copy may not have been the keeper, which would see to the end by itself.
kill_later() {
  { [ -n "$copying" ] && [ -n "$current" ] && [ -z "$killer" ]; } || return 0
  (
    trap - TERM INT HUP
    sleep "$grace"
    [ ! -f "$where/stop.sh" ] || /bin/sh "$where/stop.sh"
    kill -KILL "$current"
  ) >/dev/null 2>&1 &
  killer=$!
}

end_copies() {
  ending=yes woken=yes
  for each in $copies; do kill -TERM "$each" 2>/dev/null; done
}

# Runs $1 copies of the task in $where at once; $code is that of the first that failed.
run_copies() {
  copies='' ending='' node=0
  while [ "$node" -lt "$1" ] && [ -z "$stopping$ending" ]; do
    if [ "$node" -eq 0 ]; then
      run_copy 0 &
    else
      { read -r out && read -r err; } <"$where/node.$node/streams" || exit 121
      run_copy "$node" >>"$out" 2>>"$err" &
    fi
    copies="$copies $!"
    node=$((node + 1))
  done
  # The one that was started last may have been missed.
  [ -z "$ending" ] || end_copies
  code=0
  for each in $copies; do
    wait_for "$each"
    [ "$ended" -eq 0 ] || code=$ended
  done
  copies=''
  # Stopped before all were there: not everything was done.
  [ "$node" -ge "$1" ] || [ "$code" -ne 0 ] || code=143
  [ ! -f "$where/first-failed" ] || read -r _ code <"$where/first-failed"
}

trap ask_to_stop TERM INT HUP
trap end_copies USR1

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
  if [ -f "$where/nodes" ]; then
    run_copies "$(cat "$where/nodes")"
  else
    run_task
  fi
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
