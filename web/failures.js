/** Whatever failed, as the one kind of error that the page has words for. */

import { ChatError } from "./client/client.js";

/** @param {unknown} error */
export function asChatError(error) {
  if (error instanceof ChatError) return error;
  console.error(error);
  return new ChatError("page_error", "Something went wrong in this page. Reload it to go on.");
}
