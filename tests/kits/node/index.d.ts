export interface Names {
  domain?: string;
  app?: string;
}
export interface Filters extends Names {
  stream?: string;
  since?: string;
  limit?: number;
}
export type Kind =
  | 'call' | 'publish' | 'unpublish' | 'record' | 'slice' | 'file' | 'callback' | 'play' | 'snapshot' | 'fault' | 'clock' | 'object';
export type Json = any;
/** Settings of `localyun serve`, in camelCase; one that is undefined or null is left out. */
export type Settings = Record<string, string | number | boolean | null | undefined>;

/** The control plane refused. */
export class Refused extends Error {
  readonly status: number;
  readonly told: Json;
}
/** What was waited for did not happen; the text says what did. */
export class TimedOut extends Error {}

/** A recorded file that is in the store. */
export class RecordedFile {
  readonly format: string;
  readonly bucket: string;
  readonly object: string;
  readonly size: number;
  /** In seconds. */
  readonly duration: number;
  /** An address that plays without a key. */
  url(): Promise<string>;
  read(): Promise<Buffer>;
}

/** A receiver of callbacks, in the server itself. */
export class Sink {
  readonly name: string;
  /** What a notify URL is set to. */
  readonly url: string;
  /** What came, in order. */
  requests(): Promise<Json[]>;
  /** The JSON bodies of what came. */
  bodies(): Promise<Json[]>;
  /** What it answers from now on. */
  answer(answer?: { status?: number; body?: Json; delayMs?: number }): Promise<Json>;
  clear(): Promise<Json>;
  /** The JSON bodies of what came, as soon as `count` of those that have these fields are there. */
  wait(wanted?: { count?: number; timeoutMs?: number; fields?: Record<string, unknown> }): Promise<Json[]>;
}

/** A running server. */
export class Cloud {
  readonly ready: Json;
  /** The address of the API with its scheme. */
  readonly url: string;
  /** The same as SDKs want it: host and port. */
  readonly endpoint: string;
  readonly rtmp: string;
  readonly play?: string;
  readonly oss: string;
  readonly keyId: string;
  readonly keySecret: string;
  /** That of the key, where it has one. */
  readonly securityToken?: string;
  /** The file of the server's log. */
  readonly log: string;
  /** Variables that lead SDKs and tools here. */
  readonly env: Record<string, string>;
  /** What `new Config(…)` of `@alicloud/openapi-client` takes. */
  readonly config: { accessKeyId: string; accessKeySecret: string; securityToken?: string; endpoint: string; protocol: string };
  /** Ends the server. */
  stop(): Promise<void>;
  /** The same, at the end of the block of `await using cloud = await start()`. */
  [Symbol.asyncDispose](): Promise<void>;
  pushUrl(stream: string, names?: Names): string;
  /** A rule that records, and the domain's callback address. */
  record(rule?: Names & { formats?: string[]; stream?: string; bucket?: string; notifyUrl?: string }): Promise<void>;
  /** One signed call of the cloud's API, without an SDK. */
  call(action: string, parameters?: Record<string, string | number | boolean>): Promise<Json>;
  /** Puts a seed beside what is there. */
  seed(seed: Json): Promise<Json>;
  /** Pushes a clip over RTMP: as fast as it goes, and to its end. */
  publish(
    stream: string,
    push?: Names & { clip?: string; seconds?: number; speed?: number; query?: string; wait?: boolean },
  ): Promise<Json>;
  unpublish(stream: string, names?: Names): Promise<Json>;
  /** Arms a fault at `api:ACTION`, `store`, `object-put`, `callback` or `ingest`. */
  fault(at: string, fault?: { first?: number; code?: string; delayMs?: number }): Promise<Json>;
  clearFaults(): Promise<Json>;
  /** Forgets everything: a clean cloud, in milliseconds. */
  reset(): Promise<Json>;
  sink(name?: string): Sink;
  clock(): Promise<Json>;
  /** Moves the service clock by seconds, to `'next'` or to an instant. What falls due on the way is done when this returns. */
  advance(by?: number | 'next' | string): Promise<Json>;
  /** Stops the clock, so that only `advance` moves it. */
  freeze(frozen?: boolean): Promise<Json>;
  streams(filters?: Filters): Promise<Json[]>;
  recordings(filters?: Filters): Promise<Json[]>;
  callbacks(filters?: Filters): Promise<Json[]>;
  requests(filters?: Filters): Promise<Json[]>;
  explain(stream: string, names?: Names): Promise<Json>;
  snapshot(): Promise<Json>;
  waitFor(kind: Kind, wanted?: Names & { stream?: string; count?: number; timeoutMs?: number; since?: number }): Promise<Json[]>;
  /** The first file of a stream and a format that is in the store. */
  waitForFile(stream: string, wanted?: Names & { format?: string; timeoutMs?: number }): Promise<RecordedFile>;
  get(path: string, query?: Record<string, unknown>): Promise<Json>;
  send(method: string, path: string, body?: Json): Promise<Json>;
}

/** The path of the program. */
export function program(): string;
/** Starts a server on free ports, with a folder of its own that goes away with it. */
export function start(settings?: Settings): Promise<Cloud>;
