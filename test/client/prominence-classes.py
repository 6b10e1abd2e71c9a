# Drives the classes of PROMINENCE's Python client as a user's script would, and prints what it saw as JSON.
# prominence-client.test.ts runs it, where the client is on the machine.

import json
import time

from prominence import (Artifact, Dependency, InputFile, Job, JobPolicies, Notification, ParameterSet, ParameterSweep,
                        ProminenceClient, Repeat, Resources, Task, Workflow, Zip)

client = ProminenceClient(authenticated=True)


def task_of(command):
    task = Task()
    task.image = 'busybox'
    task.command = command
    return task


def job_of(name, command):
    job = Job()
    job.name = name
    job.resources = Resources(cpus=1, memory=0.5, disk=1)
    job.tasks = [task_of(command)]
    return job


def ended(workflow_id):
    for _ in range(600):
        shown = client.describe_workflow(workflow_id)
        if shown['status'] not in ('pending', 'running'):
            return shown
        time.sleep(0.1)
    raise SystemExit('workflow %d does not end' % workflow_id)


def workflow_of(name, jobs, factory):
    workflow = Workflow()
    workflow.name = name
    workflow.jobs = jobs
    workflow.factories = [factory]
    return workflow


def jobs_of(workflow):
    return client.list_jobs('completed', 1, None, None, workflow.id, True)


# A job with everything the classes can say, watched while it runs.
with open('artifact.txt', 'w') as handle:
    handle.write('x\n')
artifact = Artifact('classes.txt')
artifact.upload('artifact.txt')

job = job_of('classes', '/bin/sh -c "echo made > m; while test ! -e go; do sleep 0.1; done; false"')
second = task_of('/bin/sh -c "echo -n input; echo -n \' \'; cat classes.txt given.txt; echo out > o.txt"')
job.tasks = [task_of('true'), second]
job.labels = {'from': 'python'}
job.artifacts = [artifact]
job.input_files = [InputFile('given.txt', content='3\n')]
job.output_files = ['o.txt']
policies = JobPolicies()
policies.maximum_task_retries = 1
policies.ignore_task_failures = True
policies.leave_in_queue = True
job.policies = policies
job.notifications = [Notification('jobFinished', 'email')]
job.create()
job.wait(120)

watched = job_of('watched', '/bin/sh -c "echo made > m; exec sleep 60"')
watched.create()
while client.describe_job(watched.id)['status'] == 'pending':
    time.sleep(0.1)
executed = ''
for _ in range(100):
    try:
        executed = watched.execute(['cat', 'm'])
        break
    except Exception:
        time.sleep(0.1)
watched.get_snapshot('m', save_as='watched.tgz')
watched.delete()

# Factories of each kind.
point, total = job_of('point', 'echo ${p}'), job_of('sum', 'echo sum')
sweep = ParameterSweep()
sweep.name = 'f'
sweep.jobs = [point]
sweep.parameters = [ParameterSet('p', start=1, end=2, step=0.5)]
swept = workflow_of('sweep', [point, total], sweep)
swept.dependencies = [Dependency(point, [total])]
swept.create()

pair = job_of('pair', 'echo $a $b')
zipped = Zip()
zipped.name = 'z'
zipped.jobs = [pair]
zipped.parameters = [ParameterSet('a', values=[1, 2]), ParameterSet('b', values=['x', 'y'])]
paired = workflow_of('zip', [pair], zipped)
paired.create()

same = job_of('same', 'true')
repeat = Repeat(3)
repeat.name = 'r'
repeat.jobs = [same]
repeated = workflow_of('repeat', [same], repeat)
repeated.create()

sleeper = job_of('sleeper', 'sleep 60')
again = Repeat(1)
again.name = 'r'
again.jobs = [sleeper]
dropped = workflow_of('dropped', [sleeper], again)
dropped.create()
dropped.delete()

for workflow in (swept, paired, repeated):
    ended(workflow.id)

was_left = job.id in [shown['id'] for shown in client.list_jobs()]
job.remove()
is_left = job.id in [shown['id'] for shown in client.list_jobs()]

try:
    stdout = job.stdout()
except TypeError:  # Before 0.19 the client beneath knew no offset.
    stdout = client.stdout_job(job.id, 0)

print(json.dumps({
    'status': job.status,
    'executed': executed,
    'exitCodes': [task['exitCode'] for task in job.execution.tasks],
    'site': job.execution.site,
    'events': sorted(key for key, value in job.events.to_dict().items() if value),
    'notifications': client.describe_job(job.id)['notifications'],
    'stdout': stdout,
    'output': job.get_output_file('o.txt'),
    'fetched': job.get_output_file('o.txt', save_as='fetched.txt'),
    'left': [was_left, is_left],
    'sweep': sorted(shown['name'] for shown in jobs_of(swept)),
    'zip': sorted((shown['parameters'] for shown in jobs_of(paired)), key=lambda found: found['a']),
    'repeat': len(jobs_of(repeated)),
    'deleted': ended(dropped.id)['status'],
}))
