export async function fetchText(url) {
  try {
    const response = await fetch(url, { headers: { "x-asked-by": "a component" } });
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    throw String(error);
  }
}
