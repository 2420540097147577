import Support

/// Measures how fast a dataset is loaded, with a training step that only takes time.
public struct LoaderBenchmark: Sendable {
    /// What batches hold.
    public var contents = LoaderContents()
    /// How they are loaded.
    public var options = LoaderOptions()
    /// Epochs to load, each from its beginning.
    public var epochs = 1
    /// Seconds that a step of the training takes.
    public var stepTime = 0.0

    /// The defaults.
    public init() {}

    /// What was measured.
    public struct Report: Codable, Sendable {
        /// Threads that read ahead.
        public var threads = 0
        public var batches = 0
        public var jets = 0
        public var constituents = 0
        /// From opening the dataset to the end of the last epoch.
        public var seconds = 0.0
        /// From opening the dataset to its first batch.
        public var secondsToFirstBatch = 0.0
        /// Jets over `seconds`.
        public var jetsPerSecond = 0.0
        /// The same for each epoch, without opening; later ones may find record batches in memory.
        public var jetsPerSecondOfEpochs: [Double] = []
        /// Seconds that the consumer waited for batches.
        public var stalled = 0.0
        /// Seconds that the same loop takes with one batch that is there already.
        public var headspace = 0.0
        /// The part of the time that is the loader's: 1 - headspace / seconds.
        public var loaderShare = 0.0
        public var recordBatches = 0
        /// Bytes that were read from shards.
        public var storedBytes = 0
        /// Bytes of the columns that they were decompressed to.
        public var decodedBytes = 0
        /// The same over `seconds`.
        public var decodedBytesPerSecond = 0.0
        /// Bytes that the process held of its own at the end, of mapped files, and of its own at most.
        public var anonymousMemory = 0
        public var fileMemory = 0
        public var peakMemory = 0
        /// What the loader says that it needs at most.
        public var memoryBound = 0
    }

    /// Loads a dataset.
    /// - Throws: What the loader throws.
    public func run(dataset: String) throws -> Report {
        let started = LoaderCounters.now
        let loader = try Loader(dataset: dataset, contents: contents, options: options)
        var report = Report()
        report.threads = options.threads
        report.memoryBound = loader.memoryBound
        var last: Batch?
        for epoch in 0..<epochs {
            let begun = LoaderCounters.now, batches = try loader.batches(epoch: epoch)
            var jets = 0
            while let batch = try batches.next() {
                if report.batches == 0 { report.secondsToFirstBatch = LoaderCounters.now - started }
                report.batches += 1
                report.constituents += batch.constituents
                jets += batch.rows
                step()
                if epoch == epochs - 1 { last = batch }
            }
            report.jets += jets
            report.jetsPerSecondOfEpochs.append(Double(jets) / max(LoaderCounters.now - begun, 1e-9))
            let counters = batches.counters
            report.stalled += counters.stalled
            report.recordBatches += counters.recordBatches
            report.storedBytes += counters.storedBytes
            report.decodedBytes += counters.decodedBytes
        }
        report.seconds = LoaderCounters.now - started
        report.jetsPerSecond = Double(report.jets) / max(report.seconds, 1e-9)
        report.decodedBytesPerSecond = Double(report.decodedBytes) / max(report.seconds, 1e-9)
        let begun = LoaderCounters.now
        var rows = 0
        for _ in 0..<report.batches {
            // What the loop does with a batch besides waiting for it.
            rows += last?.rows ?? 0
            step()
        }
        withExtendedLifetime(rows) {}
        report.headspace = LoaderCounters.now - begun
        report.loaderShare = max(0, 1 - report.headspace / max(report.seconds, 1e-9))
        let memory = Machine.residentMemory
        report.anonymousMemory = memory.anonymous
        report.fileMemory = memory.file
        report.peakMemory = Machine.peakMemory
        return report
    }

    private func step() {
        guard stepTime > 0 else { return }
        let end = LoaderCounters.now + stepTime
        while LoaderCounters.now < end {}
    }
}
