//! Questions of different lengths, so that the prompts do.

pub(super) const ALL: [&str; 16] = [
    "What is the capital of France, and what is it known for?",
    "Explain in two sentences why the sky is blue.",
    "Write a short poem about the sea in winter.",
    "What is the difference between a list and a tuple in Python?",
    "Give me three tips for sleeping better.",
    "Summarise the following in one sentence: The committee met on Tuesday to discuss the new library. Some members \
     wanted a larger reading room, others preferred to spend the money on books and on longer opening hours. After two \
     hours they agreed to ask the residents, and to decide in the spring.",
    "How do bees make honey?",
    "Translate into French: Good morning, how are you?",
    "What should I cook with rice, tomatoes and two eggs?",
    "Write a polite email that asks a colleague to move our meeting from Monday to Wednesday, because I will be \
     travelling and would like to have the figures for the quarter ready before we talk.",
    "Why do cats purr?",
    "Explain what a hash map is to a twelve-year-old.",
    "Name five rivers in Europe.",
    "Rewrite this sentence so that it is easier to read: Notwithstanding the foregoing, the party of the first part \
     shall, within a period not exceeding thirty days, remit to the party of the second part the sums that are due.",
    "What happened in the year 1969 that people still talk about?",
    "Hello! Who are you?",
];
