import Convert
import Foundation
import Loader
import Shards
import Support
import TestSupport
import Testing

@Suite struct ResumeTests {
    private static let contents = LoaderContents(
        columns: ["px", "d0", "pdgId", "jet_pt", "event"],
        features: try? FeatureConfiguration(FeatureConfiguration.released.features, padLength: 30))

    @Test func `from fifty places of an epoch the rest is the same, three times, with other threads and ranks`() throws
    {
        let seed = UInt64.random(in: 0...99_999)
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        try checkResuming(rounds: 50, epoch: 3, seed: seed) { threads, world, rank in
            try Loader(
                dataset: path, contents: Self.contents,
                options: smallOptions {
                    ($0.threads, $0.worldSize, $0.rank, $0.dropLast) = (threads, world, rank, false)
                    $0.prefetch = threads
                })
        }
    }

    @Test(arguments: [false, true])
    func `over two kills an epoch is each jet once`(exact: Bool) throws {
        let seed = UInt64.random(in: 0...99_999)
        var random = Seeded(seed)
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        for round in 0..<5 {
            var seen: [Int] = []
            var state: LoaderState?
            let runs = [(3, 4), (1, 1), (8, 6)].shuffled(using: &random)
            for (number, (threads, world)) in runs.enumerated() {
                let ranks = try (0..<world).map { rank in
                    let options = smallOptions {
                        ($0.threads, $0.worldSize, $0.rank, $0.dropLast) = (threads, world, rank, false)
                        ($0.exact, $0.seed) = (exact, seed)
                    }
                    let loader = try Loader(dataset: path, columns: ["event"], options: options)
                    return try state.map { try loader.batches(from: $0) } ?? loader.batches(epoch: round)
                }
                // The last run goes on to the end of the epoch.
                let saved = number < 2 ? Int.random(in: 1...15, using: &random) : 100
                for _ in 0..<saved { for rank in ranks { seen += try rank.next().map { Array($0.jets) } ?? [] } }
                state = ranks[0].state
                // What came after the last save is lost with the process.
                if number < 2 { for rank in ranks { for _ in 0..<7 { _ = try rank.next() } } }
            }
            #expect(seen.sorted() == Array(0..<1727), "seed \(seed), round \(round)")
        }
    }

    /// What the refusal of a state says was different.
    private func difference(_ state: LoaderState, _ loader: Loader) -> String {
        do {
            _ = try loader.batches(from: state)
            return ""
        } catch let error as LoaderError {
            #expect(error.code == .state && error.advice?.isEmpty == false)
            return error.message
        } catch {
            return "\(error)"
        }
    }

    @Test func `a state of other options is refused with just that difference`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let train = "train (run lumi event: train below 0.8, val below 0.9, test below 1.0)"
        let changes: [(String, (inout LoaderOptions) -> Void)] = [
            (
                "batch size 48, now 96",
                {
                    $0.batchSize = 96; $0.window = 4
                }
            ),
            ("streams 12, now 24", { $0.streams = 24 }), ("window 4, now 5", { $0.window = 5 }),
            ("shuffle true, now false", { $0.shuffle = false }), ("seed 0, now 7", { $0.seed = 7 }),
            ("exact false, now true; window 4, now none", { $0.exact = true }),
            ("last batch dropped, now kept", { $0.dropLast = false }),
            ("split none, now \(train)", { $0.split = "train" }),
            ("limit none, now 600 of seed 0", { $0.limit = 600 }),
        ]
        let loader = try Loader(dataset: path, options: smallOptions()), state = loader.state(epoch: 0)
        for (words, change) in changes {
            let other = try Loader(dataset: path, options: smallOptions(change))
            #expect(difference(state, other) == "the state was made with \(words)")
            // And the other way round, with both sides exchanged.
            #expect(difference(other.state(epoch: 0), loader).hasPrefix("the state was made with "))
        }
        let limited = try Loader(dataset: path, options: smallOptions { $0.limit = 600 }).state(epoch: 0)
        let other = try Loader(dataset: path, options: smallOptions { ($0.limit, $0.limitSeed) = (600, 9) })
        #expect(difference(limited, other) == "the state was made with limit 600 of seed 0, now 600 of seed 9")

        // What does not decide the sequence may change.
        for change in [
            { $0.threads = 5 }, { $0.prefetch = 9 }, { ($0.worldSize, $0.rank) = (3, 2) }, { $0.checksDigests = false },
            { $0.releasesPages = true }, { $0.exactLimit = 1 },
        ] as [(inout LoaderOptions) -> Void] {
            let other = try Loader(dataset: path, contents: Self.contents, options: smallOptions(change))
            #expect(difference(state, other) == "")
        }
    }

    @Test func `a state of another dataset, of other splits, or of no such step is refused`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let options = smallOptions { $0.split = "train" }
        let loader = try Loader(dataset: path, options: options), state = loader.state(epoch: 0)
        // Record batches of another size are another dataset.
        let larger = try Loader(
            dataset: makeDataset([Package.sample], directory.file("larger")) { $0.batchRows = 60 }, options: options)
        let (mine, other) = (loader.dataset.catalogue.fingerprint, larger.dataset.catalogue.fingerprint)
        #expect(difference(state, larger) == "the state is of the dataset \(mine), this is \(other)")

        // Splits of the same name with other jets: the fingerprint is of the jets alone.
        let halves = try Loader(
            dataset: makeDataset([Package.sample], directory.file("halves")) {
                $0.splits = [("train", 0.5), ("val", 0.5)]
            }, options: options)
        #expect(halves.dataset.catalogue.fingerprint == mine)
        #expect(
            difference(state, halves).contains(
                "val below 0.9, test below 1.0), now train (run lumi event: train below 0.5"))

        for (epoch, step) in [(0, -1), (0, loader.stepsPerEpoch + 1), (-1, 0)] {
            var wrong = state
            (wrong.epoch, wrong.step) = (epoch, step)
            #expect(
                difference(wrong, loader)
                    == "the state is at step \(step) of epoch \(epoch), which has \(loader.stepsPerEpoch)")
        }
        // The end of an epoch is a place as any other.
        var end = state
        end.step = loader.stepsPerEpoch
        #expect(try loader.batches(from: end).next() == nil)
    }

    @Test func `a state of another mixture is refused with just that difference`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let a = try makeDataset([Package.sample], directory.file("a"))
        let b = try makeDataset([Package.sample], directory.file("b")) { $0.batchRows = 60 }
        func mixture(_ sources: [LoaderSource], _ change: (inout LoaderOptions) -> Void = { _ in }) throws -> Loader {
            try Loader(mixture: sources, contents: Self.contents, options: smallOptions(change))
        }
        let loader = try mixture([LoaderSource(a, weight: 3), LoaderSource(b)]), state = loader.state(epoch: 0)
        #expect(difference(state, try mixture([LoaderSource(a, weight: 3), LoaderSource(b)]) { $0.threads = 1 }) == "")
        let cases: [(Loader, String)] = [
            (try mixture([LoaderSource(a, weight: 2), LoaderSource(b)]), "weights 3.0 1.0, now 2.0 1.0"),
            (
                try mixture([LoaderSource(a, weight: 3), LoaderSource(b)]) { $0.mixtureLength = .longest },
                "epoch ends with shortest, now longest"
            ),
            (
                try mixture([LoaderSource(a, weight: 3), LoaderSource(b, split: "val")]),
                "splits all, all, now all, val (run lumi event: train below 0.8, val below 0.9, test below 1.0)"
            ),
        ]
        for (other, words) in cases { #expect(difference(state, other) == "the state was made with \(words)") }
        for sources in [
            [LoaderSource(b, weight: 3), LoaderSource(a)], [LoaderSource(a, weight: 3)],
            [LoaderSource(a, weight: 3), LoaderSource(b), LoaderSource(b)],
        ] {
            #expect(difference(state, try mixture(sources)).hasPrefix("the state is of the dataset "))
        }
    }
}
