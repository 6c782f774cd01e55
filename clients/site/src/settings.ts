const given = (name: string, otherwise: string) => (process.env[name] || otherwise).replace(/\/+$/, "");

/** Origin of the API. */
export const API_URL = given("API_URL", "http://localhost:8000");

/** Origin under which visitors reach this site. */
export const SITE_URL = given("SITE_URL", "http://localhost:9000");

/** Origin of the bucket: the API redirects downloads there, and browsers send uploads there. */
export const FILES_URL = given("FILES_URL", API_URL);

/** Origin of published pictures. */
export const MEDIA_URL = given("MEDIA_URL", FILES_URL);
