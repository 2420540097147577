// Loads a dataset and prints what a test in the same process could not tell from the work of other tests, as JSON:
// loader-probe DATASET THREADS FEATURES|COLUMNS FIRST LAST -> allocations between batches FIRST and LAST.
import Allocations
import Foundation
import Loader

let arguments = CommandLine.arguments
guard arguments.count == 6, let threads = Int(arguments[2]), let first = Int(arguments[4]), let last = Int(arguments[5])
else {
    print("usage: loader-probe DATASET THREADS features|columns FIRST LAST")
    exit(64)
}
var options = LoaderOptions()
options.batchSize = 64
options.streams = 16
options.threads = threads
let contents =
    arguments[3] == "features"
    ? LoaderContents(features: .released) : LoaderContents(columns: ["px", "py", "pz", "E", "d0", "jet_pt", "event"])
let loader = try Loader(dataset: arguments[1], contents: contents, options: options)
let batches = try loader.batches(epoch: 0)
var before = 0, seen = 0, sum = 0.0, recordBatches = 0
while let batch = try batches.next() {
    if seen == first {
        before = pando_allocations()
        recordBatches = batches.counters.recordBatches
    }
    sum += Double(batch.floats("px")?.first ?? batch.features.first ?? 0)
    seen += 1
    if seen == last { break }
}
let found = pando_allocations() - before
let report: [String: Any] = [
    "allocations": found, "batches": seen, "lastSize": pando_last_allocation(),
    "recordBatches": batches.counters.recordBatches - recordBatches,
]
print(String(decoding: try JSONSerialization.data(withJSONObject: report, options: .sortedKeys), as: UTF8.self))
