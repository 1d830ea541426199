// The console's REST resources. Same origin only; the session cookie goes along by itself.

/** The console's answer to what it cannot do, RFC 9457. */
export interface Problem {
  readonly status: number;
  readonly detail: string;
  readonly [member: string]: unknown;
}

export class RestError extends Error {
  /** problem: null where the answer was no problem document, or there was none. */
  constructor(message: string, readonly problem: Problem | null = null) {
    super(message);
  }
}

/** The JSON body of a resource. Throws RestError with the status for anything but success. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await asked(path, { headers: { accept: "application/json" }, ...(signal === undefined ? {} : { signal }) });
  if (!response.ok) throw new RestError(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

/** Change something; the JSON body of the answer. Throws RestError whose message is what the console says. */
export async function send<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body: BodyInit | object | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  return (await (await sent(method, path, body, { accept: "application/json", ...headers })).json()) as T;
}

/** Ask for a file that the console writes; the same otherwise. */
export async function sendForFile(path: string, body: object): Promise<Blob> {
  return (await sent("POST", path, body, {})).blob();
}

async function sent(method: string, path: string, body: BodyInit | object | null, headers: Readonly<Record<string, string>>): Promise<Response> {
  const raw = body instanceof Blob;
  const response = await asked(path, {
    method,
    headers: { "X-CSRFToken": csrf(), ...(raw ? {} : { "content-type": "application/json" }), ...headers },
    body: body === null || raw ? body : JSON.stringify(body),
  });
  if (response.ok) return response;
  if (response.status === 401) location.assign(`/login?ended=1${location.hash}`);
  const problem = ((await response.json().catch(() => null)) ?? null) as Problem | null;
  throw new RestError(problem?.detail ?? `${path}: ${response.status}`, problem);
}

async function asked(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    throw new RestError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function csrf(): string {
  const found = document.cookie.split("; ").find((cookie) => cookie.startsWith("_csrf_token="));
  return found === undefined ? "" : decodeURIComponent(found.slice("_csrf_token=".length));
}
