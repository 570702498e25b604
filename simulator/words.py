"""What people write: names and sentences in many scripts. Belongs here: the words. Who writes them is in scene.py."""

from __future__ import annotations

# language -> sentences that a learner, a tutor or a reviewer could have written; quotes, tabs and emoji on purpose
SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "I finally understand the difference between “since” and “for”.",
        "The audio of exercise 4 stops half-way, could you check?",
        "Loved the pace; the second unit is a bit steep.",
        'My answer was "she\'d gone", which should count as well.',
        "Can we move Thursday's hour to 18:30?",
        "The examples about cooking are great \U0001f469\u200d\U0001f373, more of those please!",
        "Still stuck on C:\\notes\\unit3.txt, the path in the video differs.",
    ),
    "es": (
        "¿Podemos repasar el subjuntivo la próxima semana?",
        "El señor Núñez explica muy bien, aunque habla rápido.",
        "No entiendo por qué mi respuesta es incorrecta.",
        "¡Me encantó la lección sobre el tiempo!",
    ),
    "pt": (
        "A explicação sobre crase ficou ótima, obrigado!",
        "O vídeo trava aos 3 minutos no meu telemóvel.",
        "Gostava de treinar mais conversação antes da prova.",
        "Não consegui baixar a lição 12 para ouvir no avião.",
    ),
    "de": (
        "Die Übung zu den Fällen war schwierig, aber gut erklärt.",
        "Könnten wir das Gespräch über Straßenverkehr üben?",
        "Größere Schrift wäre schön, ich lerne auf dem Handy.",
        "Schön, dass Umlaute jetzt richtig gezählt werden: ä, ö, ü, ß.",
    ),
    "fr": (
        "J’ai réussi du premier coup, à ma grande surprise.",
        "L’accent québécois est difficile à suivre au début.",
        "Où trouve-t-on la leçon sur le passé composé ?",
        "Ça serait génial d’avoir des sous-titres dès le début.",
    ),
    "pl": (
        "Ćwiczenie ze słuchu było za szybkie, proszę o wolniejszą wersję.",
        "Dziękuję za świetną lekcję, wreszcie rozumiem przypadki.",
        "Gdzie są moje zaległe powtórki z żółtego działu?",
    ),
    "tr": (
        "İkinci ünitedeki sözcükler çok yararlıydı, teşekkürler.",
        "Öğretmenin hızı iyi ama ödevler biraz uzun.",
        "Iğdır'daki öğrenciler için saat uygun değil.",
    ),
    "ru": (
        "Почему ответ «ушёл» не засчитывается?",
        "Очень понравился урок о глаголах движения, спасибо!",
        "Перенесите, пожалуйста, занятие на пятницу, на 19:00.",
        "Звук в третьем упражнении пропадает.",
    ),
    "el": (
        "Η άσκηση με τα ρήματα ήταν πολύ χρήσιμη.",
        "Μπορούμε να επαναλάβουμε την ενότητα πέντε;",
        "Ευχαριστώ, τώρα κατάλαβα τη διαφορά!",
    ),
    "ar": (
        "الدرس الثالث ممتاز، لكن الصوت منخفض قليلاً.",
        "هل يمكننا تأجيل الحصة إلى يوم الأحد؟",
        "أحببت الأمثلة عن السفر والطعام.",
    ),
    "he": (
        "התרגיל על הפועל היה קשה אבל מעניין.",
        "אפשר לקבוע שיעור ביום שני בערב?",
        "תודה רבה, ההסבר היה ברור מאוד.",
    ),
    "hi": (
        "यह पाठ बहुत अच्छा था, धन्यवाद।",
        "क्या हम अगले सप्ताह व्याकरण दोहरा सकते हैं?",
        "तीसरे अभ्यास की आवाज़ साफ़ नहीं है।",
    ),
    "bn": (
        "এই পাঠটি খুব সহজভাবে বোঝানো হয়েছে।",
        "পরের ক্লাস কি শুক্রবারে নেওয়া যায়?",
        "আমার উত্তরটি কেন ভুল হলো বুঝতে পারছি না।",
    ),
    "ta": (
        "இந்தப் பாடம் மிகவும் பயனுள்ளதாக இருந்தது.",
        "அடுத்த வகுப்பை மாற்ற முடியுமா?",
    ),
    "th": (
        "บทเรียนนี้สนุกมาก แต่แบบฝึกหัดยากไปหน่อย",
        "ขอเลื่อนเวลาเรียนเป็นวันเสาร์ได้ไหม",
    ),
    "zh": (
        "这一课的例句很实用，谢谢老师！",
        "第三题的音频听不清楚，请检查一下。",
        "能不能把星期四的课改到晚上八点？",
        "“了”的用法我还是不太明白。",
    ),
    "ja": (
        "助詞の「は」と「が」の違いがやっと分かりました。",
        "来週の授業を木曜日に変更できますか？",
        "リスニング問題が速すぎて聞き取れません。",
        "先生の説明がとても丁寧でした。",
    ),
    "ko": (
        "이번 수업은 정말 재미있었어요.",
        "세 번째 문제의 소리가 들리지 않습니다.",
        "다음 주 예약을 토요일로 바꿀 수 있을까요?",
    ),
    "vi": (
        "Bài học hôm nay rất dễ hiểu, cảm ơn thầy.",
        "Em có thể đổi lịch học sang tối thứ bảy không?",
    ),
    "uk": (
        "Дуже корисна вправа, дякую!",
        "Чи можна повторити тему «відмінки» ще раз?",
    ),
}

# language -> people called so
NAMES: dict[str, tuple[str, ...]] = {
    "en": ("Grace O'Neill", "Tom Ashworth", "Priya Shah", "Zoë Clarke", "DeShawn Miller"),
    "es": ("María José Núñez", "Íñigo Peña", "Lucía Álvarez", "Joaquín Ibáñez"),
    "pt": ("João Conceição", "Inês Araújo", "Thaís Magalhães", "Luís Brandão"),
    "de": ("Jürgen Groß", "Käthe Müller", "Anna-Lena Weiß", "Björn Schröder"),
    "fr": ("Chloé Lefèvre", "Benoît D’Aubigné", "Anaïs Gagné", "Loïc Le Goff"),
    "pl": ("Łukasz Wójcik", "Małgorzata Żak", "Zbigniew Święch"),
    "tr": ("Gülşen Yıldız", "İbrahim Çelik", "Ayşe Öztürk"),
    "ru": ("Анна Соколова", "Дмитрий Щукин", "Елена Ёлкина"),
    "el": ("Ελένη Παπαδοπούλου", "Νίκος Γεωργίου"),
    "ar": ("فاطمة الزهراء", "يوسف بن علي", "ليلى حداد"),
    "he": ("נועה כהן", "אבי לוי"),
    "hi": ("अनन्या शर्मा", "रोहन गुप्ता", "मीरा पटेल"),
    "bn": ("সুমনা দাস", "আরিফ হোসেন"),
    "ta": ("கவிதா முருகன்", "அருண் குமார்"),
    "th": ("สมชาย ใจดี", "กัญญา ศรีสุข"),
    "zh": ("王小明", "李静", "張雅婷"),
    "ja": ("佐藤 健", "田中 さくら", "髙橋 蓮"),
    "ko": ("김민준", "이서연"),
    "vi": ("Nguyễn Thị Hạnh", "Trần Đức Anh"),
    "uk": ("Оксана Ковальчук", "Євген Ґудзь"),
}

# what people search for
QUERIES: dict[str, tuple[str, ...]] = {
    "en": ("past perfect", "phrasal verbs b2", "python loops", "how to pass ielts", "piano for beginners"),
    "es": ("subjuntivo", "verbos irregulares", "inglés de negocios"),
    "pt": ("crase", "inglês para viagem"),
    "de": ("dativ übungen", "bruchrechnung"),
    "fr": ("passé composé", "probabilités"),
    "ru": ("глаголы движения", "дроби"),
    "ar": ("قواعد", "محادثة إنجليزية"),
    "hi": ("अंग्रेज़ी व्याकरण", "गणित"),
    "zh": ("把字句", "线性代数"),
    "ja": ("敬語", "統計入門"),
    "ko": ("존댓말", "미적분"),
}

COURSE_TITLES = (
    "Everyday English, part 2", "Español para viajar", "Deutsch B1: Alltag & Beruf", "Le français des affaires",
    "Основы русской грамматики", "日本語の敬語", "中文口语：日常对话", "한국어 초급", "العربية للمبتدئين",
    "Linear algebra from zero", "Python for analysts", "Statistik ohne Angst", "Guitarra clásica I",
    "गणित: कलन की शुरुआत", "History of the Silk Road", "Design of small interfaces",
)  # fmt: skip

CONCEPTS = (
    "past_perfect", "word_order", "articles", "conditionals", "phrasal_verbs", "fractions", "derivatives", "matrices",
    "loops", "recursion", "pitch", "rhythm", "colour", "sources", "cases", "aspect", "particles", "tones",
)  # fmt: skip

STACK_FRAMES = (
    "LessonPlayer.advance (lesson_player.ts:412:17)", "ExerciseView.grade (exercise_view.ts:88:9)",
    "io.lumi.player.MediaSession.onStall(MediaSession.kt:231)", "io.lumi.sync.SaveQueue.flush(SaveQueue.kt:77)",
    "LMPlaybackController.swift:164 -[LMPlaybackController seek:]", "libart.so!art::Thread::RunCheckpoint+0x1c",
    "UIKitCore 0x00000001a3f0 -[UIViewController loadViewIfRequired] + 172", "kotlinx.coroutines.DispatchedTask.run",
    "React.commitLayoutEffects (react-dom.production.min.js:244:332)", "java.lang.Thread.run(Thread.java:1012)",
)  # fmt: skip
