// Loads a dataset and prints what a test could not tell in a process that runs other tests too, as JSON:
//   loader-probe allocations DATASET THREADS features|columns|flags FIRST LAST    allocations between batches FIRST and LAST
//   loader-probe fork DATASET                                               what a loader does in a forked process
//   loader-probe dump CONFIGURATION DIRECTORY                               what batches hold, as files of numbers
//   loader-probe refuse CASES                                               the errors of what cannot be, as JSON
//   loader-probe left DATASET                                               threads and descriptors that loops leave
import Allocations
import Foundation
import Loader

func report(_ values: [String: Any]) throws {
    print(String(decoding: try JSONSerialization.data(withJSONObject: values, options: .sortedKeys), as: UTF8.self))
}

func allocations(_ dataset: String, threads: Int, contents kind: String, first: Int, last: Int) throws {
    var options = LoaderOptions()
    options.batchSize = 64
    options.streams = 16
    options.threads = threads
    var contents = LoaderContents(features: .released)
    if kind == "columns" { contents = LoaderContents(columns: ["px", "py", "pz", "E", "d0", "jet_pt", "event"]) }
    if kind == "flags" {
        contents.features = try FeatureConfiguration(["pt", "eta_rel", "energy", "isPhoton"].map { Feature($0) })
        contents.labelColumn = "label"
    }
    let batches = try Loader(dataset: dataset, contents: contents, options: options).batches(epoch: 0)
    var before = 0, seen = 0, sum = 0.0, recordBatches = 0
    while seen < last, let batch = try batches.next() {
        if seen == first {
            before = pando_allocations()
            recordBatches = batches.counters.recordBatches
        }
        sum += Double(batch.floats("px")?.first ?? batch.features.first ?? 0)
        seen += 1
    }
    let found = pando_allocations() - before
    try report([
        "allocations": found, "batches": seen, "lastSize": pando_last_allocation(), "finite": sum.isFinite,
        "recordBatches": batches.counters.recordBatches - recordBatches,
    ])
}

func fork(_ dataset: String) throws {
    let batches = try Loader(dataset: dataset, columns: ["jet_pt"]).batches(epoch: 0)
    _ = try batches.next()
    let child = pando_fork()
    if child == 0 {
        do {
            _ = try batches.next()
            exit(1)
        } catch let error as LoaderError {
            exit(error.message.contains("fork") && error.advice != nil ? 7 : 2)
        }
    }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    var seen = 1
    while try batches.next() != nil { seen += 1 }
    try report(["child": Int(status >> 8 & 0xff), "batches": seen])
}

func left(_ dataset: String) throws {
    func count(_ directory: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: directory).count
    }
    var options = LoaderOptions()
    options.batchSize = 32
    options.threads = 3
    func loop() throws {
        // Left in the middle of an epoch.
        _ = try Loader(dataset: dataset, columns: ["px"], options: options).batches().next()
    }
    try loop()
    var (threads, files) = (try count("/proc/self/task"), try count("/proc/self/fd"))
    let before = (threads, files)
    for _ in 0..<20 { try loop() }
    // Threads end a moment after they let go of the loader.
    let end = Date().addingTimeInterval(5)
    repeat {
        usleep(10_000)
        (threads, files) = (try count("/proc/self/task"), try count("/proc/self/fd"))
    } while Date() < end && (threads > 1 || files > before.1)
    try report(["threads": threads, "files": files - before.1])
}

let arguments = CommandLine.arguments
if arguments.count == 7, arguments[1] == "allocations", let threads = Int(arguments[3]), let first = Int(arguments[5]),
    let last = Int(arguments[6])
{
    try allocations(arguments[2], threads: threads, contents: arguments[4], first: first, last: last)
} else if arguments.count == 3, arguments[1] == "fork" {
    try fork(arguments[2])
} else if arguments.count == 3, arguments[1] == "left" {
    try left(arguments[2])
} else if arguments.count == 3, arguments[1] == "refuse" {
    try refuse(cases: arguments[2])
} else if arguments.count == 4, arguments[1] == "dump" {
    try dump(configuration: arguments[2], to: arguments[3])
} else {
    print(
        "usage: loader-probe allocations DATASET THREADS features|columns|flags FIRST LAST | fork DATASET | left DATASET | dump FILE DIRECTORY | refuse FILE"
    )
    exit(64)
}
