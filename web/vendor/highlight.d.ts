/** What the page uses of highlight.js: its package for browsers brings no types. */
export interface HLJSApi {
  /** The code as HTML, with its tokens in `span`s. */
  highlight(
    code: string,
    options: { language: string; ignoreIllegals?: boolean },
  ): { value: string; language?: string; relevance: number; illegal: boolean };
  highlightAuto(
    code: string,
    languages?: string[],
  ): { value: string; language?: string; relevance: number };
  /** What it knows of a language by its name or another name of it; undefined for nothing. */
  getLanguage(name: string): { name?: string; aliases?: string[] } | undefined;
  listLanguages(): string[];
}

declare const hljs: HLJSApi;
export default hljs;
