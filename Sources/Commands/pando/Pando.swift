import ArgumentParser

@main
struct Pando: ParsableCommand {}
