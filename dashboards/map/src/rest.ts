// Reading the console's REST resources. Same origin only; the session cookie goes along by itself.

export class RestError extends Error {}

/** The JSON body of a resource. Throws RestError with the status for anything but success. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { accept: "application/json" }, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    throw new RestError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!response.ok) throw new RestError(`${path}: ${response.status}`);
  return (await response.json()) as T;
}
