export async function runDemo(_keep: boolean): Promise<void> {}
