// The suites that the ecFlow benchmarks load: families of a hundred tasks with what real tasks carry.

/** A suite of so many tasks: each has a trigger on the one before it, a meter and a label, each family a limit. */
export function bigSuite(name: string, tasks: number): string {
  const lines = [`suite ${name}`, '  limit lim 50', "  edit ECF_HOME '/tmp'"]
  for (let family = 0; family * 100 < tasks; family++) {
    lines.push(`  family f${family}`, `    edit NUMBER '${family}'`, '    inlimit lim')
    for (let task = 0; task < 100 && family * 100 + task < tasks; task++) {
      lines.push(`    task t${task}`)
      lines.push(
        task === 0 ? '      event ready' : `      trigger t${task - 1} == complete and ../f0/t0:ready`,
      )
      lines.push('      meter done 0 100', '      label info "nothing said yet"')
    }
    lines.push('  endfamily')
  }
  lines.push('endsuite', '')
  return lines.join('\n')
}

/** The same many tasks with nothing said twice: names, texts, values and expressions all differ. */
export function variedSuite(name: string, tasks: number): string {
  const lines = [`suite ${name}`]
  for (let n = 0; n < tasks; n++) {
    if (n % 100 === 0) lines.push(`  family f${n}`)
    lines.push(
      `    task t${n}`,
      `      trigger t${n} == complete or /${name}/f${n}/x${n}:e${n}`,
      `      edit V${n} 'value ${n}'`,
      `      label l${n} "text of ${n}"`,
      `      event e${n}`,
    )
    if (n % 100 === 99) lines.push('  endfamily')
  }
  lines.push('endsuite', '')
  return lines.join('\n')
}
