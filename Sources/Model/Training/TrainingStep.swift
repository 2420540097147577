import Support

/// What a step knows beside its batch: which one it is, and who makes it.
package struct TrainingStep {
    /// Steps that were made before.
    package let number: Int
    /// The seed of the run.
    package let seed: UInt64
    /// The processes that make it together.
    package let world: World

    /// A step.
    package init(number: Int, seed: UInt64, world: World) {
        self.number = number
        self.seed = seed
        self.world = world
    }

    /// The seed of this step's random numbers in this process: whoever goes on from a checkpoint draws the same ones.
    package var ownSeed: UInt64 { seed(of: "rank \(world.rank.rank)") }

    /// That of what all processes decide alike.
    package var commonSeed: UInt64 { seed(of: "all ranks") }

    private func seed(of purpose: String) -> UInt64 {
        Digest(of: Array("\(seed), step \(number), \(purpose)".utf8)).value
    }
}

extension BatchOutcome {
    /// What the batch gave in all processes together.
    /// - Parameters:
    ///   - names: Of the parts, which a process without jets does not have.
    ///   - isStopping: Whether this process was asked to stop.
    /// - Returns: Also whether any process was.
    func together(
        in world: World, parts names: [String], isStopping: Bool = false
    ) throws -> (outcome: BatchOutcome, isStopping: Bool) {
        guard world.size > 1 else { return (self, isStopping) }
        let own = [weight, Double(jets), Double(rows), Double(empty), isStopping ? 1 : 0, loss * weight]
        let sums = try world.sum(own + names.map { (parts[$0] ?? 0) * weight })
        var outcome = BatchOutcome(weight: sums[0], jets: Int(sums[1]), rows: Int(sums[2]), empty: Int(sums[3]))
        guard sums[0] > 0 else { return (outcome, sums[4] > 0) }
        outcome.loss = sums[5] / sums[0]
        for (name, sum) in zip(names, sums[6...]) { outcome.parts[name] = sum / sums[0] }
        return (outcome, sums[4] > 0)
    }
}
