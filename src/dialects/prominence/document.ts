// The documents that users submit, as types. validate/ makes them out of parsed bodies; nothing else may.

import type { Json } from '../../core/json.ts'

export interface JobDocument {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly resources: ResourcesDocument
  readonly tasks: readonly TaskDocument[]
  readonly policies?: JobPolicies
  readonly inputs?: readonly {
    readonly filename: string
    readonly content: string
    readonly executable?: boolean
  }[]
  readonly artifacts?: readonly ArtifactDocument[]
  readonly outputFiles?: readonly string[]
  readonly outputDirs?: readonly string[]
  readonly notifications?: readonly NotificationDocument[]
  readonly storage?: StorageDocument
}

export interface ResourcesDocument {
  readonly nodes?: number
  readonly cpus?: number
  readonly cpusRange?: readonly [number, number]
  readonly cpusOptions?: readonly [number, number]
  readonly totalCpusRange?: readonly [number, number]
  /** GB of 1000 MB, for each node. */
  readonly memory?: number
  readonly memoryPerCpu?: number
  /** GB. */
  readonly disk?: number
  /** Minutes. */
  readonly walltime?: number
}

export interface TaskDocument {
  readonly image: string
  readonly runtime: 'singularity' | 'udocker'
  readonly cmd?: string
  readonly env?: Readonly<Record<string, Json>>
  readonly app?: string
  readonly workdir?: string
  readonly procsPerNode?: number
  readonly type?: 'basic' | 'sidecar' | 'openmpi' | 'mpich' | 'intelmpi'
  readonly imagePullCredential?: { readonly username: string; readonly token: string }
  readonly imageSha256?: string
  readonly stdout?: string
}

export interface ArtifactDocument {
  readonly url: string
  readonly mountpoint?: string
  readonly executable?: boolean
}

export interface JobPolicies {
  readonly maximumRetries?: number
  readonly maximumTaskRetries?: number
  /** Minutes; 0: until it can start or something fails; -1: for ever. */
  readonly maximumTimeInQueue?: number
  readonly maximumIdleTimePerResource?: number
  readonly priority?: number
  readonly leaveInQueue?: boolean
  readonly ignoreTaskFailures?: boolean
  readonly ignoreTaskTailures?: boolean
  readonly reportJobSuccessOnTaskFailure?: boolean
  readonly runSerialTasksOnAllNodes?: boolean
  readonly autoScalingType?: string | null
  readonly preemptible?: Json
  readonly placement?: PlacementDocument
}

export interface PlacementDocument {
  readonly requirements?: { readonly sites?: readonly string[]; readonly regions?: readonly string[] }
  readonly preferences?: { readonly sites?: readonly string[]; readonly regions?: readonly string[] }
}

export interface NotificationDocument {
  readonly event?: string
  readonly type?: 'email' | 'webhook'
  readonly url?: string
}

export interface StorageDocument {
  readonly type: 'onedata'
  readonly mountpoint: string
  readonly default?: boolean
  readonly directory?: string
  readonly onedata: { readonly provider: string; readonly token: string; readonly options?: Json }
}

export interface WorkflowDocument {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Each with a name of its own. */
  readonly jobs: readonly (JobDocument & { readonly name: string })[]
  readonly dependencies?: Readonly<Record<string, readonly string[]>>
  readonly factories?: readonly FactoryDocument[]
  readonly policies?: {
    readonly maximumRetries?: number
    readonly maximumReruns?: number
    readonly leaveInQueue?: boolean
    readonly placement?: PlacementDocument
  }
  readonly notifications?: readonly NotificationDocument[]
}

export type FactoryDocument =
  | {
      readonly name: string
      readonly type: 'parameterSweep'
      readonly jobs: readonly string[]
      readonly parameters: readonly SweepParameter[]
    }
  | {
      readonly name: string
      readonly type: 'zip'
      readonly jobs: readonly string[]
      readonly parameters: readonly {
        readonly name: string
        readonly values: readonly (string | number | boolean)[]
      }[]
    }
  | {
      readonly name: string
      readonly type: 'repeat'
      readonly jobs: readonly string[]
      readonly number?: number
      /** What the Python classes of client 0.21.0 write for `number`. */
      readonly num?: number
    }

export interface SweepParameter {
  readonly name: string
  readonly start: number
  readonly end: number
  readonly step?: number
  /** Points, both ends included, instead of a step. */
  readonly number?: number
}
