export const disassemble = (): { text: string; length: number } => ({ text: '', length: 1 });
